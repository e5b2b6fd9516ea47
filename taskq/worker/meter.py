"""Measuring the runs of one worker: for its log line, and for the memory that its pool shares.

A run is only noted when it ends. The sums are made once for each batch, when it is empty: for each
run that would cost a no-op several percent of its time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from operator import attrgetter, itemgetter

from pool import Child, clock
from pool.last_runs import LastRun
from taskq import events
from taskq.pool_context import KEEPER
from taskq.task.claimed import Claimed
from taskq.task.measures import MOST, End, amounts, key
from taskq.worker.batch import Batch
from taskq.worker.tally import Tally

#: Runs of one name in one batch that are told one by one: the last ones, and of those that are slow
#: or did not succeed.
NEWEST, NOTABLE = 4, 16

#: A run: its task, how it ended, the seconds that it took, and when it began.
_Run = tuple[Claimed, End, float, int]
_TASK = itemgetter(0)
_KIND = attrgetter("name", "queue")
_WAITED = attrgetter("waited")


class Meter:
    """Notes the runs of one worker.

    shares: write to the memory of the pool too (``TASKQ["STATISTICS"]``).
    """

    def __init__(self, child: Child, batch: Batch, tally: Tally, *, shares: bool) -> None:
        self._slot = child.slot
        self._keeper = child.scoreboard.slots[KEEPER]
        self._number = child.number
        self._batch = batch
        self._tally = tally
        self._shares = shares
        self._runs: list[_Run] = []
        #: When the run in progress began.
        self.began = 0

    def note(self, task: Claimed, end: End, seconds: float) -> None:
        """The run in progress has ended. Called for each: it costs a tenth of a microsecond."""
        self._runs.append((task, end, seconds, self.began))

    def flush(self) -> None:
        """Count what was noted. Call it when the batch is empty, or before a long run."""
        if not self._runs:
            return
        runs, self._runs = self._runs, []
        # Nearly always a batch has tasks of one name, so this must be quick.
        kinds = set(map(_KIND, map(_TASK, runs)))
        if len(kinds) == 1:
            self._count(*kinds.pop(), runs)
        else:
            for kind in kinds:
                self._count(*kind, [run for run in runs if _KIND(run[0]) == kind])
        if self._shares and not self._keeper.collects:
            self._keeper.wake()

    def _count(self, name: str, queue: str, runs: list[_Run]) -> None:
        """Count runs of one name and queue."""
        tasks, ends, seconds, began = zip(*runs, strict=True)
        if all_quick := ends.count(End.DONE) == len(ends) and max(seconds) < events.SLOW:
            quick: Sequence[float] = seconds
        else:
            quick = [each for end, each in zip(ends, seconds, strict=True) if _is_quick(end, each)]
        if quick:
            self._tally.add(tasks[-1].id, name, quick)
        if not self._shares:
            return
        slot, claimed_at = self._slot, self._batch.claimed_at
        waited = map(_WAITED, tasks)
        waits = [wait + (at - claimed_at) * 1e-9 for wait, at in zip(waited, began, strict=True)]
        row = slot.counters.row(key(name, queue))
        slot.counters.add(row, amounts(ends, seconds, waits))
        newest = range(max(0, len(runs) - NEWEST), len(runs))
        notable = [
            number
            for number in (() if all_quick else range(newest.start))
            if not _is_quick(ends[number], seconds[number])
        ]
        offset = time.time_ns() - clock.now()
        for number in (*notable[-NOTABLE:], *newest):
            slot.last_runs.add(
                LastRun(
                    tasks[number].id,
                    tasks[number].attempt,
                    row,
                    self._number,
                    began[number] + offset,
                    clock.nanoseconds(seconds[number]),
                    clock.nanoseconds(min(max(waits[number], 0.0), MOST)),
                    ends[number],
                )
            )


def _is_quick(end: End, seconds: float) -> bool:
    return end is End.DONE and seconds < events.SLOW
