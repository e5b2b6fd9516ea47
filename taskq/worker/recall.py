"""The worker's part where the keeper gives back what waits behind a long run. Why that is safe is
said in :mod:`taskq.keeper.overrun`."""

from __future__ import annotations

from pool import Slot, clock


class Recall:
    """Whether a worker may start what it holds."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._answered = slot.recalled

    @property
    def pending(self) -> bool:
        """Whether what waits is recalled. To be asked when a run has begun on the scoreboard."""
        return self._slot.recalled != self._answered

    def acknowledge(self) -> None:
        """What waits is given back now."""
        self._answered = self._slot.recalled

    def before_claim(self) -> None:
        """Before a claim, with nothing on its way: what was recalled is not here any more."""
        self._slot.others = 0
        self._slot.since = clock.now()
        self.acknowledge()
