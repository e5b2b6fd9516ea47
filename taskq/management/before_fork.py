"""The steps of a pool before its first fork: processes must not share open connections.

The steps stand in :data:`STEPS`. They are taken once, so children that are forked later start from
the same state.
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
    """Take each step. Call it in the process that becomes the supervisor."""
    for step in STEPS:
        step(context)


def load_what_all_use(context: PoolContext) -> None:
    """Load the statements and the driver's adapters.

    They take 1.4 MiB. Children share this memory as long as no process writes to it.
    """
    sql.load(connections[context.alias].vendor)
    connections[context.alias].get_connection_params()


def tell_that_a_pool_starts(context: PoolContext) -> None:
    """Send the signal pool_starting. What its receivers leave open, the next steps close."""
    events.pool_starting(context.pool)


def close_connections(context: PoolContext) -> None:
    """Close all connections: each process opens its own.

    A site may ask for psycopg's pool of connections. Each process then makes its own pool, too.
    """
    connections.close_all()
    for alias in connections:
        try:
            connection = connections[alias]
        except (ImproperlyConfigured, ImportError):  # a database that this process cannot open
            continue
        if not connection.settings_dict.get("OPTIONS", {}).get("pool"):
            continue
        if alias in getattr(connection, "_connection_pools", ()):
            connection.close_pool()  # type: ignore[attr-defined]
        # The server may end a connection in the pool. Unchecked, the next task would fail by it.
        connection.settings_dict["CONN_HEALTH_CHECKS"] = True


def close_caches(context: PoolContext) -> None:
    """Close the caches of this thread. They connect again when they are used."""
    for cache in caches.all(initialized_only=True):
        try:
            cache.close()
        except Exception:
            log.warning("the cache %r cannot be closed before the fork", cache, exc_info=True)


def tell_of_threads(context: PoolContext) -> None:
    """Warn of threads: a child lacks them, and a lock that one holds stays locked in the child."""
    names = [each.name for each in threading.enumerate() if each is not threading.main_thread()]
    if names:
        events.threads_before_fork(names)


def leave_to_children(context: PoolContext) -> None:
    """Freeze all objects: the garbage collector would write to them and so end the sharing."""
    gc.collect()
    gc.freeze()


STEPS: tuple[Callable[[PoolContext], None], ...] = (
    load_what_all_use,
    tell_that_a_pool_starts,
    close_connections,
    close_caches,
    tell_of_threads,
    leave_to_children,
)
