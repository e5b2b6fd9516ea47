"""Writes the progress of runs to the database. The runs report it on the scoreboard."""

from __future__ import annotations

from pool import Scoreboard, clock
from taskq.store.runs import RunStore
from taskq.task.claimed import Run
from taskq.task.progress import Progress

#: Seconds between two writes of one pool.
EVERY = 1.0
_NEVER = 2**63


class Reporter:
    """The keeper's part. A task reports its progress in two words of the scoreboard, as often as it
    likes. Once a second the keeper writes what changed, for all runs in one statement.
    """

    def __init__(self, scoreboard: Scoreboard) -> None:
        self._scoreboard = scoreboard
        self._written: dict[Run, Progress] = {}
        self._looked = 0
        #: When to look again. NEVER while no run reports progress: the first report of a run wakes
        #: the keeper.
        self.due = _NEVER

    def look(self, runs: RunStore) -> None:
        """Write what changed."""
        now = clock.now()
        if now - self._looked < clock.nanoseconds(EVERY):
            return
        found = {}
        for slot in self._scoreboard.living():
            # Read before the progress. If they are those of the run before, nothing is written.
            lease, run = slot.held_lease(), (slot.task_id, slot.attempt)
            if lease and (progress := slot.progress()) is not None:
                found[run] = lease, Progress(*progress)
        changed = [
            (lease, run, progress)
            for run, (lease, progress) in found.items()
            if self._written.get(run) != progress
        ]
        written = runs.set_progress(changed, wait=False) if changed else set()
        self._written = {
            run: progress
            for run, (_, progress) in found.items()
            if run[0] in written or self._written.get(run) == progress
        }
        self._looked = now
        self.due = now + clock.nanoseconds(EVERY) if found else _NEVER
