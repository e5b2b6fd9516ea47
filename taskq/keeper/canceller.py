"""Cancelling: what comes of it, and how a pool ends a run whose task was cancelled.

A task that waits is removed. Of one that runs the row is marked, in the caller's
transaction, and its pool told: first TaskCancelled is raised in the run, and after
CANCEL_GRACE seconds its worker is killed. Whatever ends the run from then on, be it the
death of the worker or of the whole pool, the mark on the row keeps it from being run again.
"""

from __future__ import annotations

from pool import Scoreboard, State, clock
from pool.supervisor import TICK
from taskq.store.tasks import TaskStore


class Canceller:
    """The keeper's part: has the supervisor end the runs that were asked to.

    It gives the run two more deadlines on the scoreboard, a soft one that has passed and
    a hard one. They are of that run alone: the next one of the worker is left in peace.

    grace: seconds between the two. every: seconds between looks when nobody says anything.
    """

    def __init__(self, scoreboard: Scoreboard, *, grace: float, every: float) -> None:
        self._scoreboard = scoreboard
        self._grace = clock.nanoseconds(grace)
        self._every = clock.nanoseconds(every)
        self.due = 0
        self._looked = 0

    def told(self) -> None:
        """Somebody may have cancelled something: look soon. On SQLite that may be said of
        every commit, so not more often than the supervisor acts on it."""
        self.due = min(self.due, self._looked + clock.nanoseconds(TICK))

    def look(self, store: TaskStore) -> None:
        """End what was cancelled; again soon while there is any."""
        now = clock.now()
        if now < self.due:
            return
        # Who is idle holds no task; a pool that sleeps asks nothing.
        busy = (slot for slot in self._scoreboard.living() if slot.state == State.BUSY)
        slots = {lease: slot for slot in busy if (lease := slot.held_lease())}
        found = store.cancelled(list(slots)) if slots else []
        for worker, run in found:
            slot = slots[worker]
            # It may wait behind another run, or have ended just now: then there will be
            # another look.
            if (slot.task_id, slot.attempt) == run and not slot.ending:
                slot.end_run(*run, soft=now, hard=now + self._grace)
        self._looked = now
        self.due = now + (clock.nanoseconds(TICK) if found else self._every)
