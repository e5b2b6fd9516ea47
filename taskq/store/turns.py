"""Whose turn it is to write, where only one process at a time can: that is SQLite."""

from __future__ import annotations

import time

from pool import Child, clock
from taskq import events

#: Seconds for which one word of the keeper holds the workers of its pool back.
HOLD = 0.1
#: Seconds between a worker's looks at that word.
LOOK = 0.002
#: Seconds of waiting after which the log says so.
LONG = 1.0


class Turn:
    """One process's place among those of its pool.

    first: whether the others wait before their next write while this one waits to write. It is
        the keeper: without its renewals the work of all others would be lost.
    """

    def __init__(self, child: Child, *, first: bool) -> None:
        self._child = child
        self._scoreboard = child.scoreboard
        self.first = first

    def give_way(self) -> None:
        """Wait while the keeper waits."""
        while not self.first and clock.now() < self._scoreboard.others_wait_until:
            time.sleep(LOOK)

    def waits(self) -> None:
        """Somebody else writes. To be called at each try."""
        if self.first:
            self._scoreboard.others_wait_until = clock.now() + clock.nanoseconds(HOLD)
            self._child.beat()  # it does not hang

    def over(self, seconds: float) -> None:
        """The waiting is over, after so many seconds."""
        if self.first:
            self._scoreboard.others_wait_until = 0
        if seconds > LONG:
            events.waited_for_write_lock(self._child.name, seconds)
