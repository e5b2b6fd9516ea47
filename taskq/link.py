"""A process's own connection to the queue, opened again whenever it breaks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from psycopg import errors

from pool import clock
from pool.backoff import Backoff
from taskq import events, leases
from taskq.leases import DATABASE_ERRORS, Leases


class Link:
    """Connects on demand; says once that the database is lost, or that it has no tables, and once
    that it is back.

    owner: the process's name, for log lines and pg_stat_activity.
    direct: see :func:`taskq.leases.connect`.
    """

    def __init__(self, owner: str, alias: str, lease: float, *, direct: bool) -> None:
        self.owner = owner
        self._alias = alias
        self._lease = lease
        self._direct = direct
        self._leases: Leases | None = None
        self._backoff = Backoff(first=0.05, limit=min(2.0, lease / 4))
        self._lost_at = 0
        self._said: Callable[[str, Exception], None] | None = None
        #: When the contact that we have now began; 0 while there is none.
        self.since = 0

    @property
    def current(self) -> Leases | None:
        """The open connection, if there is one."""
        return self._leases

    def leases(self) -> Leases:
        """The connection, opened if need be. Raises one of DATABASE_ERRORS."""
        if self._leases is None:
            self._leases = self.another()
        return self._leases

    def another(self) -> Leases:
        """Open one beside it, for the caller to close. Raises one of DATABASE_ERRORS."""
        name = f"taskq {self.owner}"
        return leases.connect(self._alias, lease=self._lease, name=name, direct=self._direct)

    def lost(self, error: Exception) -> float:
        """An error came: close. Returns the seconds to wait before the next try."""
        self._lost_at = self._lost_at or clock.now()
        say = events.tables_missing if _lacks_tables(error) else events.database_lost
        if say is not self._said:
            self._said = say
            say(self.owner, error)
        self.since = 0
        self.close()
        return self._backoff.next()

    def answered(self) -> None:
        """The database answered."""
        if self.since == 0:
            self.since = clock.now()
            self._backoff.reset()
        if self._lost_at:
            events.database_back(self.owner, (clock.now() - self._lost_at) / clock.SECOND)
            self._lost_at, self._said = 0, None

    def close(self) -> None:
        open_one, self._leases = self._leases, None
        if open_one is not None:
            with contextlib.suppress(*DATABASE_ERRORS):  # it is broken: nothing left to close
                open_one.close()


_OF_SQLITE = ("no such table", "no such column", "has no column named")


def _lacks_tables(error: Exception) -> bool:
    """Whether what the database says is that it has not the tables of this version."""
    unknown = isinstance(error, (errors.UndefinedTable, errors.UndefinedColumn))
    return unknown or any(text in str(error) for text in _OF_SQLITE)
