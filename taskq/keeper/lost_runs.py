"""Counting the runs that did not end by themselves: their worker is gone, so the keeper does it."""

from __future__ import annotations

import time
from collections.abc import Iterable

from pool import Child, clock
from pool.death import Death
from pool.last_runs import LastRun
from taskq.store.leases import Reclaimed
from taskq.task.measures import End, amounts, key


class LostRuns:
    """Counts in the keeper's own place on the scoreboard."""

    def __init__(self, keeper: Child) -> None:
        self._scoreboard = keeper.scoreboard
        self._slot = keeper.slot

    def count(self, tasks: Iterable[Reclaimed], death: Death | None) -> None:
        """Count those of these tasks that their worker ran. death: its end, if it was a child of
        this pool."""
        for task in tasks:
            if not (task.blamed or task.cancelled):
                continue
            end = End.CANCELLED if task.cancelled else End.LOST
            row = self._slot.counters.row(key(task.name, task.queue))
            self._slot.counters.add(row, amounts([end], [], []))
            if death is not None and death.task_id == task.id:
                ran = clock.nanoseconds(death.seconds)
                worker = self._scoreboard.slots[death.slot].number
                began = time.time_ns() - ran
                self._slot.last_runs.add(
                    LastRun(task.id, death.attempt, row, worker, began, ran, 0, end)
                )
