"""A transaction of Django's that begins with its first statement: both in one round trip."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql import base
from psycopg.pq import PipelineStatus, TransactionStatus

if TYPE_CHECKING:
    _DjangosCursor = psycopg.ClientCursor[Any]
else:
    _DjangosCursor = base.Cursor

_IDLE, _NO_PIPELINE = TransactionStatus.IDLE, PipelineStatus.OFF


class BeginningCursor(_DjangosCursor):
    """Django's cursor; where its statement begins a transaction, the BEGIN goes along with it.

    One thing differs from a BEGIN by itself: a syntax error is found before anything is run,
    and so leaves no transaction that has failed, but none.
    """

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        raw = self.connection
        if (
            type(query) is not str
            or not begins(raw)
            or begins_otherwise(raw)
            or raw.pgconn.pipeline_status != _NO_PIPELINE
        ):
            return super().execute(query, params, **options)
        try:
            # Or the driver would send a BEGIN of its own. Not by the property: that may not be
            # set back in a transaction.
            raw._autocommit = True
            super().execute(f"BEGIN;{query}", params, **options)
        finally:
            raw._autocommit = False
        self.nextset()  # past the answer to the BEGIN
        return self


class BegunWithFirst:
    """Inside of an atomic block of Django's that was just opened: its BEGIN goes along with its
    first statement, unless somebody watches or has a hand in the driver's connection."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        raw = connection.connection
        plain = type(raw) is psycopg.Connection and raw.cursor_factory is _DjangosCursor
        self._raw = raw if plain and not connection.queries_logged else None

    def __enter__(self) -> None:
        if self._raw is not None:
            self._raw.cursor_factory = BeginningCursor

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._raw is not None:
            self._raw.cursor_factory = _DjangosCursor


def begins(raw: psycopg.Connection[Any]) -> bool:
    """Whether the next statement begins a transaction."""
    return not raw.autocommit and raw.pgconn.transaction_status == _IDLE


def begins_otherwise(raw: psycopg.Connection[Any]) -> bool:
    """Whether that is by another BEGIN than a plain one."""
    return (raw.isolation_level, raw.read_only, raw.deferrable) != (None, None, None)
