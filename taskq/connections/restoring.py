"""Restoring and closing Django's connections of this thread."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import TransactionStatus

from taskq.connections import sessions
from taskq.connections.liveness import Liveness
from taskq.connections.of_thread import initialized
from taskq.connections.read_only import close_for_good, only_reads

log = logging.getLogger("taskq")

#: Seconds to wait while asking the server to cancel a query: it may not answer any more.
CANCEL_TIMEOUT = 1.0


def restore_connections() -> None:
    """Bring this thread's Django connections back to autocommit, or close them.

    A transaction that a task left open is rolled back by closing its connection. A sound
    connection to PostgreSQL stays open for the next task, even if CONN_MAX_AGE is 0 (Django's
    default): a new connection takes longer than most tasks.
    """
    those = initialized()
    for connection in those:
        if connection.connection is None:
            continue
        if (
            connection.in_atomic_block
            or not connection.get_autocommit()
            or connection.needs_rollback
        ):
            log.warning("a task left a transaction open on %r; rolled back", connection.alias)
            # Otherwise close() would wait for the end of the atomic block.
            _forget_transaction(connection)
            connection.close()
        elif _is_at_it(connection):
            log.warning(
                "a task was interrupted in a query on %r; it is cancelled", connection.alias
            )
            with suppress(psycopg.Error):
                connection.connection.cancel_safe(timeout=CANCEL_TIMEOUT)
            connection.close()
        elif _has_lost_autocommit(connection):
            log.warning(
                "a task was interrupted where a transaction begins on %r; closed", connection.alias
            )
            connection.close()
        elif not _may_stay(connection):
            connection.close_if_unusable_or_obsolete()
    sessions.restore(those)


def _forget_transaction(connection: BaseDatabaseWrapper) -> None:
    connection.in_atomic_block = False
    connection.savepoint_ids = []
    connection.atomic_blocks = []
    connection.needs_rollback = False
    connection.run_on_commit = []


def _is_at_it(connection: BaseDatabaseWrapper) -> bool:
    """Whether the server still runs a statement whose client has stopped waiting, as after a soft
    time limit. The driver cancels a statement only on Ctrl-C."""
    if connection.vendor != "postgresql" or connection.connection.closed:
        return False
    status: int = connection.connection.pgconn.transaction_status
    return status != TransactionStatus.IDLE


def _has_lost_autocommit(connection: BaseDatabaseWrapper) -> bool:
    """Whether the driver would begin a transaction that Django does not know and never commits.
    Django tells the driver first, and an interrupt may come in between."""
    return connection.vendor == "postgresql" and not connection.connection.autocommit


def _may_stay(connection: BaseDatabaseWrapper) -> bool:
    return (
        connection.vendor == "postgresql"
        and connection.settings_dict["CONN_MAX_AGE"] == 0
        and not connection.errors_occurred
        and not connection.connection.closed
    )


def release_connections() -> bool:
    """Close this thread's connections as after a request, because there is no work. Returns
    whether any stays open (CONN_MAX_AGE)."""
    restore_connections()
    for connection in initialized():
        if only_reads(connection):
            close_for_good(connection)  # when there is work again, a new one may write
        connection.close_if_unusable_or_obsolete()
    return bool(_open_ones())


#: For the thread that runs the ORM's part of async tasks.
_of_async_tasks = Liveness()


def replace_ended_connections() -> None:
    """Check that thread's connections as before each run."""
    _of_async_tasks.check(_open_ones())


def _open_ones() -> list[BaseDatabaseWrapper]:
    return [connection for connection in initialized() if connection.connection is not None]


#: Connections of the process that forked this one. Closing one, or losing it to the garbage
#: collector, would end a session that the parent still uses.
_of_the_parent: list[Any] = []


def abandon_connections() -> None:
    """Start without connections in a process that a task has forked. The open ones belong to the
    task. Those of other threads ended with these threads."""
    for connection in initialized():
        _of_the_parent.append(connection.connection)
        if connection.vendor == "postgresql" and connection.connection is not None:
            close_copy(connection.connection)
        _forget_transaction(connection)
        connection.connection = None
        if pools := getattr(connection, "_connection_pools", None):
            _of_the_parent.extend(pools.values())
            pools.clear()


def close_copy(connection: Any) -> None:
    """Close the descriptor of a connection that a fork has copied, without a word to the server.
    If it stayed open, the session would outlive the process that it belongs to."""
    with suppress(psycopg.Error, OSError):  # the connection has ended already
        os.close(connection.fileno())
