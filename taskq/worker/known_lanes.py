"""What a worker's last look at the lanes has found, and how long that is trusted."""

from __future__ import annotations

from pool import clock
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
    """The lanes with due tasks, most urgent first."""

    def __init__(self) -> None:
        #: Those of the last look, however old.
        self.found: list[Lane] = []
        self._took = 0
        self._fresh_until = 0

    def note(self, began: int, lanes: list[Lane]) -> None:
        """Note what a look has found. began: when it did, on the pool's clock."""
        now = clock.now()
        self.found, self._took = lanes, now - began
        cost = min(LOOK_COST * self._took, clock.nanoseconds(LOOK_AT_LEAST))
        self._fresh_until = now + max(clock.nanoseconds(LOOK_AGAIN), cost)

    def fresh(self) -> list[Lane]:
        """The lanes of the last look; none once it is too old."""
        return self.found if clock.now() < self._fresh_until else []

    def forget(self) -> None:
        """Look again before the next claim."""
        self._fresh_until = 0

    @property
    def are_slow_to_find(self) -> bool:
        return self._took > clock.nanoseconds(SLOW_LOOK)
