"""Quick successes of a worker: counted, and logged together in one line."""

from __future__ import annotations

from collections.abc import Sequence

from pool import clock
from taskq import events
from taskq.events import Ran

#: Seconds between two lines of a worker.
EVERY = 10.0
#: Names in a line. The rest is counted together.
NAMES = 10
#: Run times that are kept for the median of a name.
_KEPT = 512


class _Runs:
    """The runs of one name. Of many runs it keeps every second time, then every fourth."""

    __slots__ = ("count", "seconds", "step", "task")

    def __init__(self, task: int) -> None:
        self.task = task
        self.count = 0
        self.step = 1
        self.seconds: list[float] = []

    def add(self, seconds: Sequence[float]) -> None:
        first = -self.count % self.step  # the next that is kept
        self.count += len(seconds)
        self.seconds.extend(seconds[first :: self.step])
        while len(self.seconds) >= _KEPT:
            del self.seconds[1::2]
            self.step *= 2

    def ran(self, name: str) -> Ran:
        ordered = sorted(self.seconds)
        return Ran(name, self.count, ordered[len(ordered) // 2], self.task)


class Tally:
    """The successes of one worker since its last line."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._runs: dict[str, _Runs] = {}
        self._due = 0

    def add(self, task: int, name: str, seconds: Sequence[float]) -> None:
        """Count successes of one name. task: the id of the last."""
        runs = self._runs.get(name)
        if runs is None:
            runs = self._runs[name] = _Runs(task)
        runs.add(seconds)

    def wait(self) -> float:
        """Seconds until the next line is due, at least 0. Infinity if there is nothing to log."""
        if not self._runs:
            return float("inf")
        return max(0.0, (self._due - clock.now()) / clock.SECOND)

    def tell_when_due(self) -> None:
        if self._runs and clock.now() >= self._due:
            self.tell()

    def tell(self) -> None:
        """Log what was counted, most runs first, and start again from zero."""
        if not self._runs:
            return
        ran = sorted((runs.ran(name) for name, runs in self._runs.items()), key=_most_first)
        self._runs.clear()
        self._due = clock.now() + clock.nanoseconds(EVERY)
        events.tasks_succeeded(self._worker, ran[:NAMES], sum(each.count for each in ran[NAMES:]))


def _most_first(ran: Ran) -> tuple[int, str]:
    return -ran.count, ran.name
