"""How many tasks a worker should claim at once: by how long they took lately."""

from __future__ import annotations

QUICK = 0.010  # seconds: a task that takes no longer may be claimed in a batch
BATCH = 0.080  # seconds of work that one claim should bring
MOST = 500


class Pace:
    """Recent run times by task name, in one worker.

    A name is quick while its runs take no longer than ``QUICK`` on average. The last five runs
    count for two thirds of that. One slow run among many, such as a commit that waited for the
    disk, does not end the batches. Tasks that wait behind it for long are given back
    (:mod:`taskq.keeper.overrun`).
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._quick: list[str] = []

    def note(self, name: str, seconds: float) -> None:
        """A run of this name took so many seconds."""
        known = self._seconds.get(name)
        if known is not None:
            seconds = 0.8 * known + 0.2 * seconds
        self._seconds[name] = seconds
        if known is None or (known <= QUICK) != (seconds <= QUICK):
            self._quick = [name for name, each in self._seconds.items() if each <= QUICK]

    def quick_names(self) -> list[str]:
        return self._quick

    def is_quick(self, name: str) -> bool:
        return self._seconds.get(name, BATCH) <= QUICK

    def limit(self) -> int:
        """Tasks to claim at once, if all of them are quick."""
        return max(1, min(MOST, self.within(BATCH)))

    def within(self, seconds: float) -> int:
        """How many quick tasks are run in so many seconds, at least."""
        slowest = max(map(self._seconds.__getitem__, self._quick), default=BATCH)
        return int(seconds / max(slowest, 1e-6))
