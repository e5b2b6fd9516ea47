"""The queue's own connections to SQLite."""

from __future__ import annotations

import datetime
import functools
import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from taskq.sql import CANCEL, STACK, WORK, Answer, Call, Turn
from taskq.sql.sqlite import file
from taskq.sql.sqlite.lock import WriteLock


def connection_options(settings: dict[str, Any], lease: float, name: str) -> dict[str, Any]:
    """The site's own options. A busy database is waited for as long as the lease allows. Raises
    sqlite3.OperationalError if there is no file to connect to."""
    file.require(settings["NAME"])
    options = settings.get("OPTIONS", {})
    return {"timeout": max(5.0, lease / 2), **options, "transaction_mode": None}


_ANYTHING = (WORK, CANCEL, STACK)

#: How statements begin that do not write.
_READS = ("SELECT", "WITH", "PRAGMA")


class Connection:
    """A connection of the queue's own, which two threads may share under its lock."""

    home: str | None = "main"  # before which a temporary table of that name is found

    def __init__(
        self,
        wrapper: BaseDatabaseWrapper,
        *,
        direct: bool,
        turn: Turn | None = None,
        lock_wait: float | None = None,
    ) -> None:
        # ``lock_wait`` is not used: there is one lock, and ``timeout`` of the site's options is the
        # limit.
        self._wrapper = wrapper
        self._lock = threading.RLock()
        self._write_lock = WriteLock(wrapper.settings_dict["OPTIONS"]["timeout"], turn)
        wrapper.connection.execute("PRAGMA busy_timeout = 0")  # _write_lock waits instead
        _, _, path = wrapper.connection.execute("PRAGMA database_list").fetchone()
        self._file = file.OpenFile(path)
        # A text that is not UTF-8 must still be read: an error here would fail for all rows.
        wrapper.connection.text_factory = lambda text: text.decode(errors="backslashreplace")
        # Kept in the file. With it, readers and the writer do not wait for each other.
        self._execute("PRAGMA journal_mode = WAL", {})
        self._version = self._data_version()

    def rows(self, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        with self._lock:
            return list(self._execute(statement, values).fetchall())

    def count(self, statement: str, values: Mapping[str, Any]) -> int:
        with self._lock:
            return int(self._execute(statement, values).rowcount)

    def batch(self, *calls: Call) -> list[list[tuple[Any, ...]]]:
        with self.transaction():
            return [self.rows(*call) for call in calls]

    def begin(self, *calls: Call) -> Answer | None:
        """None: SQLite cannot send statements without waiting for them."""
        return None

    def has_answered(self) -> bool:
        return True

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._lock:
            self._execute("BEGIN IMMEDIATE", {})
            try:
                yield
            except BaseException:
                self._execute("ROLLBACK", {})
                raise
            self._execute("COMMIT", {})

    def listen(self) -> None:
        """Nothing to ask for, because :meth:`woken` notices every commit."""

    def fileno(self) -> int | None:
        return None

    def woken(self) -> Counter[str]:
        """What a commit by others since the last call may have been for. Needs no lock and
        no I/O."""
        with self._lock:
            before, self._version = self._version, self._data_version()
            return Counter(_ANYTHING if before != self._version else ())

    def close(self) -> None:
        self._wrapper.close()

    def _data_version(self) -> int:
        return int(self._execute("PRAGMA data_version", {}).fetchone()[0])

    def _execute(self, statement: str, values: Mapping[str, Any]) -> Any:
        # The cursor below Django's logging and thread checks. It takes %(name)s.
        cursor = self._wrapper.create_cursor()
        if not values:
            act = functools.partial(cursor.execute, statement.replace("%%", "%"))
        else:
            act = functools.partial(cursor.execute, statement, adapted(values))
        begins = not self._wrapper.connection.in_transaction
        if begins:
            self._file.check()
        writes = begins and not statement.lstrip().startswith(_READS)
        return self._write_lock.ask(act, give_way=writes)


def adapted(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameters as SQLite takes them: lists as JSON, times as Django stores them."""
    return {name: _adapted(value) for name, value in values.items()}


def _adapted(value: Any) -> Any:
    if isinstance(value, list):
        return json.dumps(value)
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(" ")
    return value
