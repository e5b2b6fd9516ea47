"""The queue's statements on Django's own connection, in the transaction of the test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from taskq import sql
from taskq.store.session import StoreSession
from taskq.store.tasks import TaskStore


class Within:
    """A :class:`taskq.sql.Connection` that uses a connection of Django."""

    home: str | None = None

    def __init__(self, wrapper: BaseDatabaseWrapper, *, direct: bool = False) -> None:
        self._wrapper = wrapper
        self._djangos = sql.django_connection(wrapper, direct=False)
        self._adapted = sql.driver_of(wrapper.vendor).adapted

    def rows(self, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return self._djangos.rows(statement, values)

    def count(self, statement: str, values: Mapping[str, Any]) -> int:
        with self._wrapper.cursor() as cursor:
            cursor.execute(statement, self._adapted(values))
            return int(cursor.rowcount)

    def batch(self, *calls: sql.Call) -> list[list[tuple[Any, ...]]]:
        with self.transaction():
            return [self.rows(*call) for call in calls]

    def begin(self, *calls: sql.Call) -> sql.Answer | None:
        """Send nothing ahead: Django's connection waits for each answer."""
        return None

    def has_answered(self) -> bool:
        return True

    def transaction(self) -> AbstractContextManager[object]:
        return transaction.atomic(using=self._wrapper.alias)

    def listen(self) -> None:
        """Do nothing: a test waits for no notification."""

    def fileno(self) -> int | None:
        return None

    def woken(self) -> Counter[str]:
        return Counter()

    def close(self) -> None:
        """It is not ours to close."""


class SessionWithin(StoreSession):
    """A worker's session to the queue by :class:`Within`."""

    def __init__(self, alias: str) -> None:
        super().__init__("run_all", alias, lease=1.0, direct=False)
        connection = connections[alias]
        self._within = TaskStore(Within(connection), connection.vendor)

    @property
    def current(self) -> TaskStore:
        return self._within

    def store(self) -> TaskStore:
        return self._within

    def lost(self, error: Exception) -> float:
        """Raise the error at once: the test has caused it, so a second try would not help."""
        raise error

    def close(self) -> None:
        """It is not ours to close."""
