"""Our statements by psycopg's cursors: its public interface alone, where a shortcut is left out."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import psycopg

from taskq.sql import Call


class ByCursor:
    """As :class:`taskq.sql.postgresql.prepared.Prepared`, but nothing is prepared, and the
    statements of a batch take a round trip each.

    keep: as there, and of no use here.
    """

    def __init__(self, connection: psycopg.Connection[Any], *, keep: bool) -> None:
        self._connection = connection
        self._lock = threading.RLock()  # so that no thread's statement gets into another's batch

    def rows(self, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement; the rows that it returns."""
        cursor = self._run(statement, values)
        return cursor.fetchall() if cursor.description else []

    def count(self, statement: str, values: Mapping[str, Any]) -> int:
        """Run a statement; how many rows it touched."""
        return max(0, self._run(statement, values).rowcount)

    def batch(self, *calls: Call) -> list[list[tuple[Any, ...]]]:
        """Run statements as one transaction; the rows of each."""
        with self._lock, self._connection.transaction():
            return [self.rows(*call) for call in calls]

    def begin(self, *calls: Call) -> None:
        """Not here: to send something and wait for nothing."""

    def _run(self, statement: str, values: Mapping[str, Any]) -> psycopg.Cursor[Any]:
        # Values go into the text: as parameters they would have types of psycopg's choice.
        with self._lock:
            return psycopg.ClientCursor(self._connection).execute(statement, values)
