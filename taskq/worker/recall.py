"""The worker's part when the keeper gives back tasks that wait behind a long run.

:mod:`taskq.keeper.overrun` says why that is safe.
"""

from __future__ import annotations

from pool import Others, Slot, clock


class Recall:
    """Whether a worker may start what it holds."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._answered = slot.recalled

    @property
    def pending(self) -> bool:
        """Whether the tasks that wait are recalled. Ask only after the scoreboard shows the run."""
        return self._slot.recalled != self._answered

    def acknowledge(self) -> None:
        """The tasks that wait are given back now."""
        self._answered = self._slot.recalled

    def before_claim(self) -> None:
        """Call before a claim, with an empty batch: no recalled task is here any more."""
        self._slot.others = Others.NONE
        self._slot.since = clock.now()
        self.acknowledge()
