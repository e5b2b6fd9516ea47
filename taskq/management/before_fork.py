"""What a pool does before it forks: no two processes may share what is open.

The list is :data:`STEPS`. It is walked once; children that are forked later find the same.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable

from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from taskq import events, sql
from taskq.pool_context import PoolContext

log = logging.getLogger("taskq")


def get_ready(context: PoolContext) -> None:
    """Take each step, in the supervisor-to-be."""
    for step in STEPS:
        step(context)


def load_what_all_use(context: PoolContext) -> None:
    """Children share it for as long as nobody writes to it: the statements and the adapters of the
    driver alone are 1.4 MiB."""
    sql.load(connections[context.alias].vendor)
    connections[context.alias].get_connection_params()


def close_connections(context: PoolContext) -> None:
    """Each process opens its own, and makes its own pool where psycopg's is asked for."""
    connections.close_all()
    for alias in connections:
        try:
            connection = connections[alias]
        except (ImproperlyConfigured, ImportError):  # a database that only others can open
            continue
        if not connection.settings_dict.get("OPTIONS", {}).get("pool"):
            continue
        if alias in getattr(connection, "_connection_pools", ()):
            connection.close_pool()  # type: ignore[attr-defined]
        # What the server has ended while it was in the pool would fail the task that gets it.
        connection.settings_dict["CONN_HEALTH_CHECKS"] = True


def close_caches(context: PoolContext) -> None:
    """Those of this thread connect again when they are used."""
    for cache in caches.all(initialized_only=True):
        try:
            cache.close()
        except Exception:
            log.warning("the cache %r cannot be closed before the fork", cache, exc_info=True)


def tell_of_threads(context: PoolContext) -> None:
    """They do not cross a fork, and a lock that one holds then is never released in a child."""
    names = [each.name for each in threading.enumerate() if each is not threading.main_thread()]
    if names:
        events.threads_before_fork(names)


def leave_to_children(context: PoolContext) -> None:
    """The collector writes to what it looks at, which would then no longer be shared."""
    gc.collect()
    gc.freeze()


STEPS: tuple[Callable[[PoolContext], None], ...] = (
    load_what_all_use,
    close_connections,
    close_caches,
    tell_of_threads,
    leave_to_children,
)
