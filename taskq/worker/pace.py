"""How many tasks a worker should claim at once: by how long they took lately."""

from __future__ import annotations

QUICK = 0.010  # seconds: a task that takes no longer may be claimed in a batch
SHORT = 1.0  # seconds: the next task may be claimed while one runs that takes no longer
BATCH = 0.080  # seconds of work that one claim should bring
MOST = 500


class _Times:
    """Recent times of one name: of the function alone, and with what its end takes."""

    __slots__ = ("own", "whole")

    def __init__(self, own: float, whole: float) -> None:
        self.own, self.whole = own, whole


class Pace:
    """Recent run times by task name, in one worker.

    A name is quick while its runs take no longer than ``QUICK`` on average. The last five runs
    count for two thirds of that. One slow run among many does not end the batches. Tasks that wait
    behind it for long are given back (:mod:`taskq.keeper.overrun`).

    Whether a name is quick is judged by its function's own time. The commit of an atomic task
    waits for the disk, but an error or an endless loop does not begin there. How many tasks one
    claim should bring depends on the whole time.
    """

    def __init__(self) -> None:
        self._times: dict[str, _Times] = {}
        self._quick: list[str] = []

    def note(self, name: str, own: float, whole: float) -> None:
        """A run of this name took so many seconds."""
        known = self._times.get(name)
        if known is None:
            self._times[name] = _Times(own, whole)
            self._quick = self._find_quick()
            return
        was_quick = known.own <= QUICK
        known.own = 0.8 * known.own + 0.2 * own
        known.whole = 0.8 * known.whole + 0.2 * whole
        if was_quick != (known.own <= QUICK):
            self._quick = self._find_quick()

    def quick_names(self) -> list[str]:
        return self._quick

    def is_quick(self, name: str) -> bool:
        known = self._times.get(name)
        return known is not None and known.own <= QUICK

    def is_short(self, name: str) -> bool:
        known = self._times.get(name)
        return known is not None and known.whole <= SHORT

    def expected(self, name: str) -> float:
        """The seconds that a run of a known name should take."""
        return self._times[name].whole

    def limit(self) -> int:
        """Tasks to claim at once, if all of them are quick."""
        return max(1, min(MOST, self.within(BATCH)))

    def within(self, seconds: float) -> int:
        """How many quick tasks are run in so many seconds, at least."""
        slowest = max((self._times[name].whole for name in self._quick), default=BATCH)
        return int(seconds / max(slowest, 1e-6))

    def _find_quick(self) -> list[str]:
        return [name for name, times in self._times.items() if times.own <= QUICK]
