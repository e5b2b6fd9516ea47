"""Writes some of the runs of a pool to the database, one by one, so that each task name has its
last ones there."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from pool import Child, clock
from pool.last_runs import LastRun
from taskq import events
from taskq.conf import Settings
from taskq.store.refusals import NEVER
from taskq.store.session import StoreSession
from taskq.store.statistics import Recent
from taskq.task.measures import End, name_and_queue

#: Seconds between two looks.
EVERY = 1.0
#: Runs that one look writes at most: of one name, and in all.
OF_NAME, IN_ALL = 5, 40


class RecentRuns:
    """The keeper's part. keeper: this process. told: called when runs have ended.

    due: when to look next, by ``pool.clock``. NEVER while no run ends: the next worker with one
    wakes the keeper (:mod:`taskq.worker.meter`).
    """

    def __init__(
        self,
        keeper: Child,
        session: StoreSession,
        settings: Settings,
        pool: str,
        told: Callable[[], None],
    ) -> None:
        self._slot = keeper.slot
        self._slots = keeper.scoreboard.slots
        self._session = session
        self._each = settings.recent_runs
        self._pool = pool
        self._told = told
        # What an earlier keeper of this pool has left, it may have written.
        self._read = [slot.last_runs.written for slot in self._slots]
        self.due: float = NEVER

    def look(self) -> None:
        """Write the runs that have ended since the last look, if it is time."""
        if self._slot.collects and clock.now() < self.due:
            return
        self._slot.collects = 0  # before the look: a worker that adds a run after it wakes us
        written = [slot.last_runs.written for slot in self._slots]
        if written == self._read:
            self.due = NEVER
            return
        self._told()
        found = [
            self._recent(run, slot.counters.key(run.row))
            for slot, read in zip(self._slots, self._read, strict=True)
            for run in slot.last_runs.since(read)
        ]
        if self._each:
            self._session.store().statistics.add_recent(_some(found))
        self._read = written
        self._slot.collects = 1
        self.due = clock.now() + clock.nanoseconds(EVERY)

    def _recent(self, run: LastRun, key: bytes) -> Recent:
        name, queue = name_and_queue(key)
        return Recent(
            run.task,
            run.attempt,
            name,
            queue,
            self._pool,
            f"worker {run.worker}" if run.worker else "",
            datetime.datetime.fromtimestamp(run.began / 1e9, datetime.UTC),
            run.ran / 1e9,
            run.waited / 1e9,
            run.end,
        )


def _some(runs: list[Recent]) -> list[Recent]:
    """The last of each name, and before them what is slow or did not succeed."""
    chosen: list[Recent] = []
    of_name: dict[str, int] = {}
    runs = sorted(runs, key=lambda run: (_notable(run), run.started_at), reverse=True)
    for run in runs:
        number = of_name.get(run.name, 0)
        if len(chosen) < IN_ALL and (number < OF_NAME or _notable(run)):
            chosen.append(run)
            of_name[run.name] = number + 1
    return sorted(chosen, key=lambda run: run.started_at)


def _notable(run: Recent) -> bool:
    return run.end != End.DONE or run.seconds >= events.SLOW
