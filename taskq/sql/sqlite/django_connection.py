"""Runs taskq's statements on Django's connections to SQLite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from taskq.sql.sqlite.own_connection import adapted


def rows_within(
    connection: BaseDatabaseWrapper, statement: str, values: Mapping[str, Any], *, direct: bool
) -> list[tuple[Any, ...]]:
    """Run a statement in the transaction that is open on a Django connection. The driver keeps
    its statements prepared."""
    with connection.cursor() as cursor:
        cursor.execute(statement, adapted(values))
        return list(cursor.fetchall())


def begin_within(
    connection: BaseDatabaseWrapper, *, direct: bool
) -> AbstractContextManager[object]:
    """Does nothing: SQLite has no round trip that could be saved."""
    return nullcontext()


def end_within(
    connection: BaseDatabaseWrapper, statement: str, values: Mapping[str, int], *, direct: bool
) -> bool:
    """Run the last statement of a Django atomic block. Returns whether it touched a row."""
    return len(rows_within(connection, statement, values, direct=direct)) == 1


def keep_within(
    connection: BaseDatabaseWrapper,
    statements: Sequence[str],
    values: Mapping[str, Any],
    *,
    direct: bool,
) -> bool:
    """Run the last statements of a Django atomic block. Returns whether the first touched a row
    and none of the others returned one."""
    kept, *undone = [rows_within(connection, each, values, direct=direct) for each in statements]
    return len(kept) == 1 and not any(undone)
