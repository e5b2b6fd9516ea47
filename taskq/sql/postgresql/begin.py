"""BEGIN and the first statement of a Django transaction in one round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql import base
from psycopg.abc import PQGen
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from taskq import shortcuts

if TYPE_CHECKING:
    from psycopg._queries import PostgresQuery

    _DjangosCursor = psycopg.ClientCursor[Any]
else:
    _DjangosCursor = base.Cursor

#: Whether a cursor can send a BEGIN along.
CAN_LEAD = shortcuts.steps_of_execute() is not None

NO_PIPELINE = PipelineStatus.OFF


class BeginningCursor(_DjangosCursor):
    """Django's cursor. If its statement begins a transaction, the BEGIN is sent with it.

    This differs from a separate BEGIN in two ways. A syntax error is found before anything runs,
    so it leaves no transaction instead of a failed one. And the server's errors count lines and
    positions from the BEGIN.

    The methods are the steps of the driver's ``execute()``. All run under its connection's lock.
    """

    _leads = False

    def _execute_gen(self, *args: Any, **options: Any) -> PQGen[None]:
        raw = self._conn
        pipeline = raw.pgconn.pipeline_status != NO_PIPELINE
        self._leads = begins(raw) and not begins_otherwise(raw) and not pipeline
        try:
            yield from super()._execute_gen(*args, **options)
        finally:
            self._leads = False

    def _start_query(self, *args: Any) -> PQGen[None]:
        if not self._leads:
            yield from super()._start_query(*args)
            return
        try:
            # Otherwise the driver would send its own BEGIN. Not by the property: it takes the lock.
            self._conn._autocommit = True
            yield from super()._start_query(*args)  # which then sends nothing
        finally:
            self._conn._autocommit = False

    def _execute_send(self, query: PostgresQuery, **options: Any) -> None:
        if not self._leads:
            super()._execute_send(query, **options)
            return
        self._query = query
        self._pgconn.send_query(b"BEGIN;\n" + query.query)

    def _set_results(self, results: list[PGresult]) -> None:
        if self._leads:
            results = results[1:] or results  # a statement that is only a comment has no result
        super()._set_results(results)


class BegunWithFirst:
    """Inside of a new atomic block of Django's: send its BEGIN with its first statement. A tool
    that changes the driver's connection turns this off."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        raw = connection.connection
        factories = (_DjangosCursor, BeginningCursor)  # the second after a block that was cut off
        plain = type(raw) is psycopg.Connection and raw.cursor_factory in factories
        self._raw = raw if plain else None

    def __enter__(self) -> None:
        if self._raw is not None:
            self._raw.cursor_factory = BeginningCursor

    def __exit__(self, *error: object) -> None:
        if self._raw is not None:
            self._raw.cursor_factory = _DjangosCursor


def begins(raw: psycopg.Connection[Any]) -> bool:
    """Whether the next statement begins a transaction."""
    return not raw.autocommit and raw.pgconn.transaction_status == TransactionStatus.IDLE


def begins_otherwise(raw: psycopg.Connection[Any]) -> bool:
    """Whether that would be with another BEGIN than a plain one."""
    return (raw.isolation_level, raw.read_only, raw.deferrable) != (None, None, None)
