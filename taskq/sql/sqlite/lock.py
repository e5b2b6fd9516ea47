"""SQLite's one write lock, tried every few milliseconds.

SQLite itself tries less and less often, down to once in 0.1 s. On a slow disk another process takes
the lock again a moment after it was free. A process could so wait for many seconds.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from pool import clock
from taskq.sql import Turn

T = TypeVar("T")

#: The least and the most seconds between two tries, for the process whose turn comes first, and
#: for all others.
FIRST, OTHERS = (0.0005, 0.002), (0.002, 0.008)


class WriteLock:
    """Gets the lock for one connection. SQLite's own waiting must be off there.

    patience: seconds after which the driver's error is raised.
    """

    def __init__(self, patience: float, turn: Turn | None) -> None:
        self._patience = clock.nanoseconds(patience)
        self._turn = turn
        self._pause = FIRST if turn is not None and turn.first else OTHERS
        self._random = random.Random()  # tasks may have seeded the module's own

    def ask(self, act: Callable[[], T], *, give_way: bool) -> T:
        """Call ``act``, which may need the lock, until no other process holds the lock.

        give_way: wait for a process whose turn comes first. Never set it while holding the lock,
            because that process would wait for the lock.

        Raises sqlite3.OperationalError with the code SQLITE_BUSY when others held the lock all
        the time.
        """
        if give_way and self._turn is not None:
            self._turn.give_way()
        try:
            return act()
        except sqlite3.OperationalError as error:
            if not _is_busy(error):
                raise
        return self._wait(act)

    def _wait(self, act: Callable[[], T]) -> T:
        began = clock.now()
        try:
            while True:
                if self._turn is not None:
                    self._turn.waits()
                time.sleep(self._random.uniform(*self._pause))
                try:
                    return act()
                except sqlite3.OperationalError as error:
                    if not _is_busy(error) or clock.now() - began > self._patience:
                        raise
        finally:
            if self._turn is not None:
                self._turn.over((clock.now() - began) / clock.SECOND)


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
