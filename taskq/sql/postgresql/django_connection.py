"""Runs taskq's statements on Django's connections to PostgreSQL.

They pass the guards of Django, and tools that count, log or trace see them. If there are no such
tools, Django's and the driver's cursors are skipped, because they take longer than all the rest.
"""

from __future__ import annotations

import functools
import os
from asyncio import _get_running_loop
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import get_ident
from typing import Any

import psycopg
from django.db import ProgrammingError, transaction
from django.db.backends import utils
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper
from psycopg import errors

from taskq.sql.django_cursor import Stretch, Way, is_djangos_class, is_shadowed
from taskq.sql.postgresql.begin import (
    CAN_LEAD,
    NO_PIPELINE,
    BeginningCursor,
    BegunWithFirst,
    begins,
    begins_otherwise,
)
from taskq.sql.postgresql.prepared import UNDO, Undone, generators
from taskq.sql.postgresql.shared import SharedPrepared


class DjangoConnection:
    """One of Django's connections, with taskq's statements in the transaction that is open on it.

    direct: see :func:`taskq.store.connecting.connect`. If set, the server keeps taskq's statements
        parsed and planned: that takes as long as running them.
    """

    def __init__(self, wrapper: BaseDatabaseWrapper, *, direct: bool = True) -> None:
        self.wrapper = wrapper
        self._direct = direct

    def rows(self, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement. Returns its rows."""
        if not _ready(self.wrapper):
            return self._by_cursor(statement, values)
        raw = self.wrapper.connection
        beginning = not self.wrapper.autocommit and _begins(raw)
        if beginning and begins_otherwise(raw):
            return self._by_cursor(statement, values)
        prepared = SharedPrepared.of(raw, keep=self._direct)
        try:
            if beginning:  # otherwise the driver would take a round trip for the BEGIN
                return prepared.begun_with(statement, values)
            return prepared.rows(statement, values)
        except psycopg.Error:
            # Entered only here, because nearly always there is no error to wrap.
            with self.wrapper.wrap_database_errors:
                raise

    def begin(self) -> AbstractContextManager[object]:
        """At the start of a Django atomic block: save the round trip of its BEGIN, if possible.
        Tools that replaced methods of Django's own classes still see each statement."""
        backend: Any = type(self.wrapper)
        own = CAN_LEAD and self._direct and _ways(backend)
        return BegunWithFirst(self.wrapper) if own else nullcontext()

    def end(self, statement: str, values: Mapping[str, int]) -> bool:
        """Run the last statement of a Django atomic block. Returns whether it touched a row. If
        not, the block must be rolled back.

        If possible, the transaction is committed in the same round trip. Django then finds nothing
        left to commit at the end of the block.

        statement: it must be usable as a CTE, and return the rows that it touches.
        """
        wrapper = self.wrapper
        outermost = len(wrapper.atomic_blocks) == 1 and wrapper.commit_on_exit
        if not outermost or not _ready(wrapper):
            return self.end_plainly([statement], values)
        raw = wrapper.connection
        prepared = SharedPrepared.of(raw, keep=self._direct)
        with wrapper.wrap_database_errors:
            try:
                if _begins(raw):  # nothing else ran in the block
                    return len(prepared.rows(statement, values)) == 1
                return prepared.commit_with(statement, values)
            except errors.InsufficientPrivilege:
                pass  # it ran outside of the transaction, so it could not break that
            except Undone:
                raw.execute(UNDO)
        return self._touched_by_own_role(statement, values)

    def end_plainly(self, statements: Sequence[str], values: Mapping[str, Any]) -> bool:
        """As :meth:`end`, for statements with other parameters than numbers, or that Django must
        commit."""
        (statement,) = statements
        try:
            with transaction.atomic(self.wrapper.alias):
                return len(self.rows(statement, values)) == 1
        except ProgrammingError:
            return self._touched_by_own_role(statement, values)

    def _by_cursor(self, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        with self.wrapper.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    def _touched_by_own_role(self, statement: str, values: Mapping[str, Any]) -> bool:
        """Try again as the session's first role, because the task may have chosen a role without
        rights to taskq's tables (SET ROLE). Deferred triggers run as the task's role again, at the
        commit."""
        with self.wrapper.cursor() as cursor:
            cursor.execute(_ROLES)
            ((user, role),) = cursor.fetchall()
            cursor.execute("SET LOCAL SESSION AUTHORIZATION DEFAULT")
            if own := self.wrapper.settings_dict["OPTIONS"].get("assume_role"):
                cursor.execute(_SET_LOCAL, ["role", own])
            else:
                cursor.execute("SET LOCAL role TO DEFAULT")
            cursor.execute(statement, values)
            touched = len(cursor.fetchall())
            cursor.execute(_SET_LOCAL, ["session_authorization", user])
            cursor.execute(_SET_LOCAL, ["role", role])
        return touched == 1


_ROLES = """
SELECT pg_catalog.current_setting('session_authorization'), pg_catalog.current_setting('role')
"""
_SET_LOCAL = "SELECT pg_catalog.set_config(%s, %s, true)"


def _ready(connection: Any) -> bool:
    """Whether a connection is all Django's own, is not watched by a tool, and can run a statement.
    Raises what Django's own cursor would raise."""
    backend: Any = type(connection)
    ways = _ways(backend)
    if not ways or generators is None:
        return False
    # The steps of connection.cursor() and its execute(), without calls that would find nothing to
    # do. In a process that has waited, each call runs code that is no longer in the caches.
    if connection.health_check_enabled and not connection.health_check_done:
        connection.close_if_health_check_failed()
    if connection.connection is None or _get_running_loop() is not None:
        connection.ensure_connection()
    if connection._thread_ident != get_ident():
        connection.validate_thread_sharing()
    if connection.needs_rollback:
        connection.validate_no_broken_transaction()
    if connection.queries_logged or connection.execute_wrappers:
        return False
    raw = connection.connection
    if type(raw) is not psycopg.Connection or utils.CursorWrapper is not CursorWrapper:
        return False
    way = ways.get(raw.cursor_factory)
    return (
        way is not None
        and way.is_own()
        and not is_shadowed(connection, _NAMES)
        and not is_shadowed(raw, _CONNECTION_NAMES)
        # Otherwise the driver drops our prepared statements together with its own.
        and raw.prepare_threshold is None
        and raw.pgconn.pipeline_status == NO_PIPELINE
    )


def _begins(raw: psycopg.Connection[Any]) -> bool:
    with raw.lock:  # a BeginningCursor changes the connection for a moment under this lock
        return begins(raw)


@functools.cache
def _ways(backend: Any) -> dict[Any, Way]:
    """The ways of a statement on the connections of a backend, by the class of the cursor. None if
    the backend is not Django's own."""
    if not issubclass(backend, base.DatabaseWrapper) or not is_djangos_class(backend):
        return {}
    return {
        factory: Way(
            Stretch(backend, sorted(_NAMES)),
            Stretch(CursorWrapper, _CURSOR_WRAPPER_NAMES),
            Stretch(cursor, _CURSOR_NAMES, _PSYCOPG),
            Stretch(psycopg.Connection, sorted(_CONNECTION_NAMES), _PSYCOPG),
        )
        for factory, cursor in _CURSORS.items()
    }


# A test follows a statement, and checks that no other methods touch it.
_NAMES = frozenset(
    "cursor _cursor create_cursor _prepare_cursor make_cursor queries_logged ensure_connection "
    "close_if_health_check_failed validate_thread_sharing validate_no_broken_transaction".split()
)
_CURSOR_WRAPPER_NAMES = "__init__ execute _execute _execute_with_wrappers __getattr__".split()
_CURSOR_NAMES = "__init__ execute fetchall".split()
_CONNECTION_NAMES = frozenset("cursor _check_connection_ok".split())

_PSYCOPG = os.path.dirname(psycopg.__file__) + os.sep
#: The cursor classes of Django's connections, each with the class whose methods it should have.
_CURSORS: dict[Any, Any] = {
    base.Cursor: base.Cursor,
    base.ServerBindingCursor: base.ServerBindingCursor,
    BeginningCursor: base.Cursor,
}


def names_on_the_way() -> frozenset[str]:
    """The names of the methods that are checked before a statement skips them."""
    return frozenset([*_NAMES, *_CURSOR_WRAPPER_NAMES, *_CURSOR_NAMES, *_CONNECTION_NAMES])
