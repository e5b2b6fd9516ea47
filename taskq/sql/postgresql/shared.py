"""taskq's prepared statements on a connection that others use too: Django's.

The others may drop prepared statements (DISCARD ALL). A statement that the server does not know
fails the transaction. So in a transaction that others have begun, a prepared statement is sent
only if nothing on this connection could have dropped it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus

from taskq import shortcuts
from taskq.sql import Call
from taskq.sql.postgresql.kept import Kept
from taskq.sql.postgresql.plain import leaves_nothing
from taskq.sql.postgresql.prepared import Prepared

if TYPE_CHECKING:
    from psycopg._preparing import Key, Prepare, PrepareManager
    from psycopg._queries import PostgresQuery
else:
    PrepareManager = shortcuts.prepare_manager() or object

_KEPT = "taskq_prepared"  # an attribute of the driver's connection

# A single statement that begins so drops no prepared statements. Nearly all begin so.
_IS_PLAIN = re.compile(
    rb"\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH|SET|SHOW|SAVEPOINT|RELEASE|ROLLBACK|DECLARE)\b", re.I
).match
# Any other is searched for these words. A block of code, or a procedure, may do anything.
_MAY_DROP = re.compile(rb"\b(?:DEALLOCATE|DISCARD|PREPARE|EXECUTE|DO|CALL)\b", re.I).search


class Watch(PrepareManager):
    """psycopg asks this object for each statement of a connection whether to prepare it. It also
    counts statements that may change the session, or may drop prepared statements."""

    def __init__(self, plain: PrepareManager) -> None:
        vars(self).update(vars(plain))
        self.traces = 0
        self._settled = -1
        self.doubts = 0

    def settle(self) -> None:
        """The session is as it was at its start."""
        self._settled = self.traces

    @property
    def is_clean(self) -> bool:
        """Whether no statement since then can have changed the session."""
        return self.traces == self._settled

    def maybe_add_to_cache(self, query: PostgresQuery, prep: Prepare, name: bytes) -> Key | None:
        # The text before the client inserts values: values call nothing.
        text = getattr(query, "template", query.query)
        if not leaves_nothing(text):
            self.traces += 1
            if (b";" in text or not _IS_PLAIN(text)) and _MAY_DROP(text):
                self.doubts += 1
        return super().maybe_add_to_cache(query, prep, name)


def watch(connection: psycopg.Connection[Any]) -> Watch | None:
    """Watch the statements of a connection from now on. None when the driver is not the one for
    which this was written."""
    there = getattr(connection, "_prepared", None)
    if type(there) is PrepareManager:
        there = connection._prepared = Watch(there)
    return there if isinstance(there, Watch) else None


class SharedPrepared(Prepared):
    """taskq's prepared statements on a Django connection."""

    def __init__(self, connection: psycopg.Connection[Any], *, keep: bool) -> None:
        super().__init__(connection, keep=keep)
        self._watch = watch(connection)
        self._is_direct: bool | None = None

    @classmethod
    def of(cls, connection: psycopg.Connection[Any], *, keep: bool) -> Self:
        """The object that belongs to the connection."""
        try:
            found: Self = vars(connection)[_KEPT][keep]
        except KeyError:
            found = cls(connection, keep=keep)
            vars(connection).setdefault(_KEPT, {})[keep] = found
        return found

    def begun_with(self, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Begin a transaction with a statement, in one round trip. Returns the statement's rows."""
        calls: tuple[Call, Call] = ("BEGIN", {}), (statement, values)
        try:
            return self.batch(*calls)[-1]
        except errors.InvalidSqlStatementName:
            # The failed transaction holds nothing yet, and taskq's prepared statements are gone.
            self.rows("ROLLBACK", {})
            return self.batch(*calls)[-1]

    def _is_there(self, kept: Kept) -> bool:
        if self._watch is not None and kept.seen == self._watch.doubts:
            return True
        if self._pgconn.transaction_status != TransactionStatus.IDLE:
            return False
        kept.seen = self._doubts
        return True  # if the server has dropped it, the statement is sent again

    def _prepare(self, kept: Kept, *, at_once: bool = False) -> None:
        if self._is_direct is None and self._keep and (at_once or kept.times):
            self._keep = self._is_direct = self._has_session()
        super()._prepare(kept, at_once=at_once)
        kept.seen = self._doubts

    def _has_session(self) -> bool:
        """Whether the session belongs to this connection alone. A pooler that no setting names
        shows itself: it returns another number than that of the server process."""
        self._pgconn.send_query(b"SELECT pg_catalog.pg_backend_pid()")
        pid = self._check(self._answer()).get_value(0, 0)
        return pid == b"%d" % self._pgconn.backend_pid

    def _may_be_refused(self) -> bool:
        return self._watch is None or not self._watch.is_clean

    @property
    def _doubts(self) -> int:
        return self._watch.doubts if self._watch is not None else -1
