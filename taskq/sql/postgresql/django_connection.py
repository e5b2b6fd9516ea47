"""How statements of ours run on Django's connections to PostgreSQL.

They are guarded as all is there, and seen by who counts, logs or traces. Where nobody does,
Django's cursor and the driver's are left out, which take longer than all the rest.
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
    NO_PIPELINE,
    BeginningCursor,
    BegunWithFirst,
    begins,
    begins_otherwise,
)
from taskq.sql.postgresql.prepared import UNDO, Undone
from taskq.sql.postgresql.shared import SharedPrepared


def rows_within(
    connection: BaseDatabaseWrapper, statement: str, values: Mapping[str, Any], *, direct: bool
) -> list[tuple[Any, ...]]:
    """Run a statement of ours in the transaction that is open on a connection of Django's.

    direct: see :func:`taskq.store.tasks.connect`. Then the server keeps our statements parsed
        and planned, which takes as long as running them does.
    """
    if not _ready(connection):
        return _by_cursor(connection, statement, values)
    raw = connection.connection
    beginning = not connection.autocommit and _begins(raw)
    if beginning and begins_otherwise(raw):
        return _by_cursor(connection, statement, values)
    prepared = SharedPrepared.of(raw, keep=direct)
    try:
        if beginning:  # the driver would take a round trip for that
            return prepared.begun_with(statement, values)
        return prepared.rows(statement, values)
    except psycopg.Error:
        # Entered only now: nearly always there is nothing to wrap.
        with connection.wrap_database_errors:
            raise


def _by_cursor(
    connection: BaseDatabaseWrapper, statement: str, values: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def begin_within(
    connection: BaseDatabaseWrapper, *, direct: bool
) -> AbstractContextManager[object]:
    """Inside of an atomic block of Django's: save it the round trip of its BEGIN, if possible. What
    tools have changed of Django's own classes sees each statement all the same."""
    backend: Any = type(connection)
    own = direct and _is_known(backend)
    return BegunWithFirst(connection) if own else nullcontext()


def end_within(
    connection: BaseDatabaseWrapper, statement: str, values: Mapping[str, int], *, direct: bool
) -> bool:
    """Run the last statement of an atomic block of Django's; whether it touched a row. If not,
    the block must be rolled back.

    Where that is possible the transaction is committed in the same round trip, and Django,
    at the end of the block, finds that there is nothing left to commit.

    statement: one that can be a CTE, and returns what it touches.
    """
    outermost = len(connection.atomic_blocks) == 1 and connection.commit_on_exit
    if not outermost or not _ready(connection):
        return keep_within(connection, [statement], values, direct=direct)
    raw = connection.connection
    prepared = SharedPrepared.of(raw, keep=direct)
    with connection.wrap_database_errors:
        try:
            if _begins(raw):  # nothing else was done in the block
                return len(prepared.rows(statement, values)) == 1
            return prepared.commit_with(statement, values)
        except errors.InsufficientPrivilege:
            pass  # it was not in the transaction that this could have spoilt
        except Undone:
            raw.execute(UNDO)
    return _touched_by_own_role(connection, statement, values)


def keep_within(
    connection: BaseDatabaseWrapper,
    statements: Sequence[str],
    values: Mapping[str, Any],
    *,
    direct: bool,
) -> bool:
    """The same of a statement that takes more than numbers, or that Django is to commit."""
    (statement,) = statements
    try:
        with transaction.atomic(connection.alias):
            return len(rows_within(connection, statement, values, direct=direct)) == 1
    except ProgrammingError:
        return _touched_by_own_role(connection, statement, values)


def _touched_by_own_role(
    connection: BaseDatabaseWrapper, statement: str, values: Mapping[str, Any]
) -> bool:
    """After it was refused: as the role that the session began with, as the task may have taken
    one that has no right to our tables (SET ROLE). What is deferred to the commit runs as the
    task's again."""
    with connection.cursor() as cursor:
        cursor.execute(_ROLES)
        ((user, role),) = cursor.fetchall()
        cursor.execute("SET LOCAL SESSION AUTHORIZATION DEFAULT")
        if own := connection.settings_dict["OPTIONS"].get("assume_role"):
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
    """Whether a connection is all Django's own, has nobody who watches what runs on it, and is fit
    to run something; raises what its own cursor would."""
    backend: Any = type(connection)
    if not _is_known(backend):
        return False
    # As connection.cursor() and its execute() do, but that what would find nothing to do is not
    # called: in a process that has waited each call is code that the caches have forgotten.
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
    return (
        _is_own(connection, raw)
        # Or the driver drops what we have prepared with what it has.
        and raw.prepare_threshold is None
        and raw.pgconn.pipeline_status == NO_PIPELINE
    )


def _is_own(connection: Any, raw: Any) -> bool:
    """Whether no subclass and no tool has a hand in what runs on a connection of a known class, or
    in its transactions. raw: the driver's."""
    if type(raw) is not psycopg.Connection or utils.CursorWrapper is not CursorWrapper:
        return False
    backend: Any = type(connection)
    cursor = _CURSORS.get(raw.cursor_factory)
    return (
        cursor is not None
        and _way(backend, cursor).is_own()
        and not is_shadowed(connection, _NAMES)
        and not is_shadowed(raw, _CONNECTION_NAMES)
    )


def _begins(raw: psycopg.Connection[Any]) -> bool:
    with raw.lock:  # under which a BeginningCursor has it look otherwise for a moment
        return begins(raw)


@functools.cache
def _is_known(backend: Any) -> bool:
    return issubclass(backend, base.DatabaseWrapper) and is_djangos_class(backend)


@functools.cache
def _way(backend: Any, cursor: Any) -> Way:
    return Way(
        Stretch(backend, sorted(_NAMES)),
        Stretch(CursorWrapper, _CURSOR_WRAPPER_NAMES),
        Stretch(cursor, _CURSOR_NAMES, _PSYCOPG),
        Stretch(psycopg.Connection, sorted(_CONNECTION_NAMES), _PSYCOPG),
    )


# A test follows a statement, and finds no others that do anything with it.
_NAMES = frozenset(
    "cursor _cursor create_cursor _prepare_cursor make_cursor queries_logged ensure_connection "
    "close_if_health_check_failed validate_thread_sharing validate_no_broken_transaction".split()
)
_CURSOR_WRAPPER_NAMES = "__init__ execute _execute _execute_with_wrappers __getattr__".split()
_CURSOR_NAMES = "__init__ execute fetchall".split()
_CONNECTION_NAMES = frozenset("cursor _check_connection_ok".split())

_PSYCOPG = os.path.dirname(psycopg.__file__) + os.sep
#: Those that Django's connections may have, each with the one whose methods it should have.
_CURSORS: dict[Any, Any] = {
    base.Cursor: base.Cursor,
    base.ServerBindingCursor: base.ServerBindingCursor,
    BeginningCursor: base.Cursor,
}


def names_on_the_way() -> frozenset[str]:
    """Of the methods that are looked at before a statement goes around them."""
    return frozenset([*_NAMES, *_CURSOR_WRAPPER_NAMES, *_CURSOR_NAMES, *_CONNECTION_NAMES])
