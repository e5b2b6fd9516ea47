"""A database session that tasks use one after the other, restored to its start in between."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import psycopg
from psycopg import sql
from psycopg.pq import ExecStatus

from taskq.sql.postgresql.prepared import generators
from taskq.sql.postgresql.shared import watch

_SESSION = "taskq_session"  # an attribute of the driver's connection

# The settings that Django and receivers of connection_created have made since the session began,
# and its role. pg_settings takes a millisecond, once for each connection. It locks nothing.
_BEGAN = """
SELECT name, setting FROM pg_catalog.pg_settings WHERE source = 'session'
UNION ALL SELECT 'role', pg_catalog.current_setting('role')
UNION ALL SELECT '', pg_catalog.pg_backend_pid()::text
"""
# All that DISCARD ALL does, except for plans, which mean the same to all, and prepared statements.
_RESET = """
CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *;
SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES; SELECT {began}
"""

# How the driver treats rows, statements and transactions.
_MANNERS = attrgetter(
    *"row_factory cursor_factory prepare_threshold isolation_level read_only deferrable".split()
)


class Session:
    """The session of a Django connection that was just made."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._watch = watch(connection)
        self._manners = _MANNERS(connection)
        began = dict(psycopg.Cursor(connection).execute(_BEGAN).fetchall())
        #: False if a pooler may have given the session to others meanwhile.
        self._is_ours = began.pop("") == str(connection.pgconn.backend_pid)
        values = [
            sql.SQL("pg_catalog.set_config({}, {}, false)").format(name, setting)
            for name, setting in began.items()
        ]
        self._reset = sql.SQL(_RESET).format(began=sql.SQL(", ").join(values)).as_bytes(connection)
        self._note()
        vars(connection)[_SESSION] = self

    @classmethod
    def of(cls, connection: psycopg.Connection[Any]) -> Session | None:
        """The session that was noted when the connection was made."""
        return vars(connection).get(_SESSION)

    def restore(self) -> bool:
        """Bring the session back to its start, in one round trip if a statement may have left
        something. Returns whether that succeeded."""
        if generators is None or self._watch is None or not self._is_ours:
            return False
        if self._watch.doubts != self._doubts:
            return False
        if _MANNERS(self._connection) != self._manners:
            return False
        if self._watch.is_clean:
            return True
        with self._connection.lock:
            self._connection.pgconn.send_query(self._reset)
            results = self._connection.wait(generators.execute(self._connection.pgconn))
        self._note()
        return all(each.status in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK) for each in results)

    def _note(self) -> None:
        if self._watch is not None and self._is_ours:
            self._watch.settle()
            self._doubts = self._watch.doubts
