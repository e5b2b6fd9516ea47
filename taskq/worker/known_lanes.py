"""What a worker's last look at the lanes has found, and how long that is trusted."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from pool import Slot, clock
from taskq.store.claims import Lane

#: Seconds after which the lanes are looked at again. So a more urgent lane, or another queue of
#: the same priority, does not wait for long. Slow looks are taken less often: they take no more
#: than a twentieth of the time. The pause is LOOK_AT_LEAST at most: after a look that was held up,
#: a longer one would hide that a queue is paused.
LOOK_AGAIN = 0.050
LOOK_COST = 20
LOOK_AT_LEAST = 1.0
#: Seconds. After a slower look there is no claim without a look, as both pass over the same rows.
#: A look may contain a commit, which waits for the disk.
SLOW_LOOK = 0.020


class KnownLanes:
    """The lanes with due tasks, most urgent first.

    The workers of a pool share their looks: each says on the scoreboard which lane it has found to
    be the most urgent one. Another worker that claims from that lane needs no look of its own.

    slot: the worker's. others: those of the other workers.
    """

    def __init__(self, slot: Slot, others: Sequence[Slot]) -> None:
        #: Those of the last look, however old.
        self.found: list[Lane] = []
        self._slot = slot
        self._others = others
        self._took = 0
        self._fresh_until = 0

    def seek(self) -> None:
        """A look begins. For a while the others wait for what it finds."""
        self._slot.seeks = clock.now()

    def note(self, began: int, lanes: list[Lane]) -> None:
        """Note what a look has found. began: when it did, on the pool's clock."""
        now = clock.now()
        self.found, self._took = lanes, now - began
        cost = min(LOOK_COST * self._took, clock.nanoseconds(LOOK_AT_LEAST))
        self._fresh_until = now + max(clock.nanoseconds(LOOK_AGAIN), cost)
        # In this order, and read in the other: no worker sees a new time with an older find.
        self._slot.found = _number(lanes[0]) if lanes else 0
        self._slot.found_until = self._fresh_until
        self._slot.seeks = 0

    def fresh(self) -> list[Lane]:
        """The lanes of the last look, or of another worker's; none once they are too old."""
        now = clock.now()
        if now < self._fresh_until:
            return self.found
        if not self.found or not self._fresh_until:
            return []
        said = [(each.found_until, each.found) for each in self._others]
        until = max((until for until, found in said if found == self._slot.found), default=0)
        if now < until:
            self._fresh_until = until
        elif not self._another_will_say(now):
            return []
        # The others have said nothing of the lanes behind the first.
        del self.found[1:]
        return self.found

    def forget(self) -> None:
        """Look again before the next claim."""
        self._fresh_until = 0

    def _another_will_say(self, now: int) -> bool:
        """Whether another worker looks. One that hangs is not waited for."""
        since = now - clock.nanoseconds(LOOK_AT_LEAST)
        return self._fresh_until > since and any(each.seeks > since for each in self._others)

    @property
    def are_slow_to_find(self) -> bool:
        return self._took > clock.nanoseconds(SLOW_LOOK)


def _number(lane: Lane) -> int:
    """The same for the same lane in each worker."""
    return 1 + zlib.crc32(f"{lane.priority} {lane.queue}".encode())
