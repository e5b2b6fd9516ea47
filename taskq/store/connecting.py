"""The connection of a pool's process to the queue, apart from Django's."""

from __future__ import annotations

import copy

from django.db import connections

from taskq import sql
from taskq.sql.django_cursor import is_djangos
from taskq.store.tasks import TaskStore


def search_path(alias: str) -> str | None:
    """The schemas that this thread's connection looks in, where its backend is not Django's and so
    may choose them for each cursor: those of the tenant that this process serves. None for others,
    which have them from their settings."""
    connection = connections[alias]
    if connection.vendor != "postgresql" or is_djangos(connection):
        return None
    with connection.cursor() as cursor:
        cursor.execute("SHOW search_path")
        path = str(cursor.fetchone()[0])
    connection.close()
    return path


def connect(
    alias: str,
    *,
    lease: float,
    name: str = "taskq",
    direct: bool = True,
    turn: sql.Turn | None = None,
    lock_wait: float | None = None,
    search_path: str | None = None,
) -> TaskStore:
    """Open a connection of our own to the queue's database, apart from Django's.

    lease: seconds; a dead network holds us for no more than a part of it.
    name: shown in pg_stat_activity.
    direct: it is ours alone; False where a pooler may give it to others between two
        transactions, so that nothing may be left behind in its session.
    turn: among the processes of a pool, on SQLite.
    lock_wait: seconds that a statement waits for a lock, on PostgreSQL; None for no limit. Of no
        use behind a pooler, which gives the session to others.
    search_path: see :func:`search_path`; of no use behind a pooler.

    Raises one of DATABASE_ERRORS.
    """
    shared = connections[alias]
    driver = sql.driver_of(shared.vendor)
    settings = copy.deepcopy(shared.settings_dict)
    options = driver.connection_options(settings, lease, name)
    if search_path is not None and direct:
        path = search_path.replace("\\", "\\\\").replace(" ", "\\ ")
        options["options"] = f"{options.get('options', '')} -c search_path={path}".strip()
    settings["OPTIONS"] = options
    wrapper = type(shared)(settings, alias)
    wrapper.connect()
    own = driver.Connection(wrapper, direct=direct, turn=turn, lock_wait=lock_wait)
    return TaskStore(own, shared.vendor)
