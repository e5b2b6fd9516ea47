"""SQLite's one write lock, asked for every few milliseconds.

SQLite itself asks ever more rarely, down to once in 0.1 s. On a slow disk, where the lock is taken
again a moment after it was free, a process may so wait for many seconds.
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

#: Seconds between two tries, at least and at most: of a process whose turn comes first, and of
#: any other.
FIRST, OTHERS = (0.0005, 0.002), (0.002, 0.008)


class WriteLock:
    """How one connection gets the lock. Its own waiting in SQLite must be off.

    patience: seconds after which the driver's error is raised.
    """

    def __init__(self, patience: float, turn: Turn | None) -> None:
        self._patience = clock.nanoseconds(patience)
        self._turn = turn
        self._pause = FIRST if turn is not None and turn.first else OTHERS
        self._random = random.Random()  # the tasks may have seeded the other

    def ask(self, act: Callable[[], T], *, give_way: bool) -> T:
        """Do what may need the lock, once nobody else has it.

        give_way: to a process whose turn comes first. Never for who has the lock: the other would
            wait for it.
        Raises sqlite3.OperationalError, whose code is SQLITE_BUSY when others had it all the time.
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
