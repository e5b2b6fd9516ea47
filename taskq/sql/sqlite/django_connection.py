"""Runs taskq's statements on Django's connections to SQLite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from taskq.sql.sqlite.own_connection import adapted


class DjangoConnection:
    """One of Django's connections, with taskq's statements in the transaction that is open on it.

    direct: of no use here, because no pooler stands before a file. The driver keeps its statements
        prepared.
    """

    def __init__(self, wrapper: BaseDatabaseWrapper, *, direct: bool = True) -> None:
        self.wrapper = wrapper

    def rows(self, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement. Returns its rows."""
        with self.wrapper.cursor() as cursor:
            cursor.execute(statement, adapted(values))
            return list(cursor.fetchall())

    def begin(self) -> AbstractContextManager[object]:
        """Does nothing: SQLite has no round trip that could be saved."""
        return nullcontext()

    def end(self, statement: str, values: Mapping[str, int]) -> bool:
        """Run the last statement of a Django atomic block. Returns whether it touched a row."""
        return len(self.rows(statement, values)) == 1

    def end_plainly(self, statements: Sequence[str], values: Mapping[str, Any]) -> bool:
        """Run the last statements of a Django atomic block. Returns whether they touched a row."""
        found = [self.rows(each, values) for each in statements]
        return any(found)
