"""On SQLite only one process can write at a time. Here the keeper of a pool goes first."""

from __future__ import annotations

import time

from pool import Child, clock
from taskq import events

#: Seconds for which the workers of a pool wait after the keeper has asked them to.
HOLD = 0.1
#: Seconds between two looks of a worker that waits.
LOOK = 0.002
#: A wait of more seconds than this is logged.
LONG = 1.0


class Turn:
    """The turn of one process of a pool to write.

    first: whether the others wait before their next write while this one waits. True for the
        keeper, because without its renewals all workers would lose their leases.
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
        """Another process writes. Call this at each try for the write lock."""
        if self.first:
            self._scoreboard.others_wait_until = clock.now() + clock.nanoseconds(HOLD)
            self._child.beat()  # the supervisor must not take it for hung

    def over(self, seconds: float) -> None:
        """The wait is over. It took so many seconds."""
        if self.first:
            self._scoreboard.others_wait_until = 0
        if seconds > LONG:
            events.waited_for_write_lock(self._child.name, seconds)
