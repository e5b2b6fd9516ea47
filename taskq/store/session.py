"""A process's own connection to the queue, opened again whenever it breaks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from pool import clock
from pool.backoff import Backoff
from taskq import events
from taskq.database_errors import DATABASE_ERRORS, Meaning, meaning
from taskq.sql import Turn
from taskq.store.connecting import connect, search_path
from taskq.store.tasks import TaskStore


def _refused(process: str, error: BaseException) -> None:
    events.refused(process, "go on", error)


#: What to say of an error that does not mean that the database is away.
_SAY = {
    Meaning.REJECTED: events.database_rejects,
    Meaning.UNMIGRATED: events.tables_missing,
    Meaning.LOCKED: events.database_locked,
    Meaning.BUSY: _refused,
    Meaning.ANSWER: _refused,
}


class StoreSession:
    """Connects on demand; says once that the database is lost, or that it has no tables, and once
    that it is back.

    owner: the process's name, for log lines and pg_stat_activity.
    direct, turn, lock_wait: see :func:`taskq.store.connecting.connect`.
    """

    def __init__(
        self,
        owner: str,
        alias: str,
        lease: float,
        *,
        direct: bool,
        turn: Turn | None = None,
        lock_wait: float | None = None,
    ) -> None:
        self.owner = owner
        self._alias = alias
        self._lease = lease
        self._direct = direct
        self._turn = turn
        self._lock_wait = lock_wait
        self._store: TaskStore | None = None
        self._backoff = Backoff(first=0.05, limit=min(2.0, lease / 4))
        self._lost_at = 0
        self._said: Callable[[str, Exception], None] | None = None
        #: When the contact that we have now began; 0 while there is none.
        self.since = 0
        #: The schema of the queue's tables: :attr:`TaskStore.home` of the last connection.
        self.home: str | None = None
        self._search_path: str | None = None

    @property
    def current(self) -> TaskStore | None:
        """The open connection, if there is one."""
        return self._store

    def store(self) -> TaskStore:
        """The connection, opened if need be. Raises one of DATABASE_ERRORS."""
        if self._store is None:
            # Before the first task is claimed: what that sets there is not for us.
            self._search_path = self._search_path or search_path(self._alias)
            self._store = connect(
                self._alias,
                lease=self._lease,
                name=f"taskq {self.owner}",
                direct=self._direct,
                turn=self._turn,
                lock_wait=self._lock_wait,
                search_path=self._search_path,
            )
            self.home = self._store.home
        return self._store

    def lost(self, error: Exception) -> float:
        """An error came: close. Returns the seconds to wait before the next try."""
        self._lost_at = self._lost_at or clock.now()
        say = _SAY.get(meaning(error), events.database_lost)
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
        open_one, self._store = self._store, None
        if open_one is not None:
            with contextlib.suppress(*DATABASE_ERRORS):  # it is broken: nothing left to close
                open_one.close()
