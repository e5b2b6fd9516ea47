"""Undo what a task may have left behind, so that the worker is sound for the next."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import logging
import os
import signal
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import TransactionStatus

from pool import clock
from pool.leftovers import Leftovers, Trait
from taskq import sessions
from taskq.liveness import Liveness
from taskq.thread_connections import connection_of, initialized

log = logging.getLogger("taskq")

#: A task whose last runs, so many, have left nothing behind is no longer looked at after each.
TRUSTED = 20
#: Among such runs, looks take one part in so many of the time.
LOOK_COST = 500
#: Seconds to ask the server that it gives up a query: it may not answer any more.
CANCEL_TIMEOUT = 1.0


class Hygiene:
    """What a worker's process is like before the first task, and has to be like before each.

    traits: what is looked at in the process, see :mod:`pool.leftovers`.
    """

    def __init__(self, traits: Sequence[Trait] = ()) -> None:
        # By its descriptor and not by its name, under which another may stand by then: that of a
        # new release.
        self._directory = _opened(".")
        self._name = _directory()
        if self._directory is not None:
            weakref.finalize(self, os.close, self._directory)
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        self._aliases = [alias for alias in connections if _can_be_opened(alias)]
        self._liveness = Liveness()
        self._leftovers = Leftovers(traits)
        self._look_due = 0
        #: A run was made since the last look.
        self._behind = False
        #: By the name of a task: how many runs in a row have left nothing behind.
        self._clean: dict[str, int] = {}
        #: Connections that the next run may find open.
        self.opened = self._in_use()
        #: No run may follow in this process.
        self.beyond_repair = False

    def before(self, *, quick: bool) -> bool:
        """Right before a run: what others have left is undone, and its connections are alive.
        Whether it may be made here.

        quick: it is one of many that take next to no time.
        """
        if self._behind and not quick:
            self.look()
        self._liveness.check(self.opened, again=quick)
        return not self.beyond_repair

    def restore(self, name: str = "", now: int = 0) -> None:
        """Right after a run.

        name: of the task. now: on the pool's clock.
        """
        signal.setitimer(signal.ITIMER_REAL, 0)
        # The bare function: that of ``signal`` makes enums of what it returns.
        _signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        if self._directory is not None and _directory() != self._name:
            try:
                os.fchdir(self._directory)
            except OSError as error:  # the task has closed what it did not open
                log.error("a task left the working directory, and there is no way back: %s", error)
                self.beyond_repair = True
        self.opened = self._in_use()
        if self.opened or sessions.foreign:
            restore_connections()
        clean = self._clean.get(name, 0)
        if clean < TRUSTED or now >= self._look_due:
            self._clean[name] = 0 if self.look() else clean + 1
        else:
            self._behind = True

    def settle(self) -> bool:
        """There is nothing to do: all that is left behind is undone, connections are closed.
        Whether there may be more runs here."""
        if self._behind:
            self.look()
        release_connections()
        self.opened = self._in_use()
        return not self.beyond_repair

    def look(self) -> bool:
        """Undo what harms the next run, or have that made by another process; whether there was
        anything."""
        began = clock.now()
        found = self._leftovers.undo()
        self.beyond_repair |= self._leftovers.beyond_repair
        self._behind = False
        now = clock.now()
        self._look_due = now + LOOK_COST * (now - began)
        return found

    def _in_use(self) -> list[BaseDatabaseWrapper]:
        # To have Django list those that are in use takes five times as long.
        for alias in self._aliases:
            if connection_of(alias).connection is not None:
                return [each for each in map(connection_of, self._aliases) if each.connection]
        return []


def _opened(directory: str) -> int | None:
    """None where this user may not: one that was entered as another."""
    try:
        return os.open(directory, getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY)
    except OSError:
        return None


def _directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # somebody removed it, say
        return ""


def open_caches() -> None:
    """Have Django make its caches in the context that this process begins with.

    It keeps them by context, and each run has one of its own: every task would connect anew.
    """
    for alias in caches:
        # What is wrong with one, whoever uses it is told.
        with suppress(Exception):
            caches[alias]


def _can_be_opened(alias: str) -> bool:
    """Not where its driver is missing, as of a database that only others use."""
    try:
        return connections[alias] is not None
    except (ImproperlyConfigured, ImportError):
        return False


def restore_connections() -> None:
    """Bring this thread's Django connections back to autocommit, or close them.

    A transaction that a task left open is rolled back with its connection. A sound
    connection to PostgreSQL stays open for the next task, also where CONN_MAX_AGE is 0
    (Django's default): to connect anew takes longer than most tasks do.
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
            # Without this, close() would wait for the end of the atomic block.
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
    """Whether the server still works for what was given up: a soft limit, say, that was raised
    while the answer was waited for. The driver cancels for a Ctrl-C only."""
    if connection.vendor != "postgresql" or connection.connection.closed:
        return False
    status: int = connection.connection.pgconn.transaction_status
    return status != TransactionStatus.IDLE


def _has_lost_autocommit(connection: BaseDatabaseWrapper) -> bool:
    """Whether the driver would begin a transaction that Django knows nothing of, and so never
    commits. Django tells the driver first, and an interrupt may come in between."""
    return connection.vendor == "postgresql" and not connection.connection.autocommit


def _may_stay(connection: BaseDatabaseWrapper) -> bool:
    return (
        connection.vendor == "postgresql"
        and connection.settings_dict["CONN_MAX_AGE"] == 0
        and not connection.errors_occurred
        and not connection.connection.closed
    )


def release_connections() -> bool:
    """There is nothing to do: close this thread's connections as after a request. Whether any is
    to stay open (CONN_MAX_AGE)."""
    restore_connections()
    for connection in initialized():
        connection.close_if_unusable_or_obsolete()
    return bool(_open_ones())


#: Of the thread that runs what async tasks ask of the ORM.
_of_async_tasks = Liveness()


def replace_ended_connections() -> None:
    """The same as before each run, for that thread."""
    _of_async_tasks.check(_open_ones())


def _open_ones() -> list[BaseDatabaseWrapper]:
    return [connection for connection in initialized() if connection.connection is not None]


#: Connections of the process that forked this one. To close one, or to have it collected as
#: garbage, would end the session that the other goes on with.
_of_the_parent: list[Any] = []


def abandon_connections() -> None:
    """In a process that a task has forked: begin without any, and leave those that are open to the
    task. What is open in other threads went with them."""
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
    """Close the descriptor of a connection that a fork has copied, and say nothing to the server.
    With it open, the session would outlive the process whose it is."""
    with suppress(psycopg.Error, OSError):  # it has ended already
        os.close(connection.fileno())
