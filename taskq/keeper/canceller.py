"""How a pool ends the runs of cancelled tasks.

The call that cancels removes a waiting task. For a running task it marks the row, in the caller's
transaction, and wakes the pool. The pool first raises TaskCancelled in the run. CANCEL_GRACE
seconds later it kills the worker. However the run ends, the task does not run again: the mark on
its row prevents it, even if the worker or the whole pool dies.
"""

from __future__ import annotations

from pool import Scoreboard, State, clock
from pool.supervisor import TICK
from taskq.store.runs import RunStore


class Canceller:
    """The keeper's part: it tells the supervisor which runs to end.

    It writes two deadlines on the scoreboard: a soft one that has passed already, and a hard one.
    They hold for that run alone, and not for the next run of the worker.

    grace: seconds between the two. every: seconds between looks without a wake-up.
    """

    def __init__(self, scoreboard: Scoreboard, *, grace: float, every: float) -> None:
        self._scoreboard = scoreboard
        self._grace = clock.nanoseconds(grace)
        self._every = clock.nanoseconds(every)
        self.due = 0
        self._looked = 0

    def told(self) -> None:
        """A task may have been cancelled: look soon. On SQLite every commit may call this, so the
        next look waits until the supervisor could act on it."""
        self.due = min(self.due, self._looked + clock.nanoseconds(TICK))

    def look(self, runs: RunStore) -> None:
        """End the runs of cancelled tasks. Look again soon while there are any."""
        now = clock.now()
        if now < self.due:
            return
        # Idle workers run no task, so an idle pool sends no query.
        busy = (slot for slot in self._scoreboard.living() if slot.state == State.BUSY)
        slots = {lease: slot for slot in busy if (lease := slot.held_lease())}
        found = runs.cancelled(list(slots)) if slots else []
        for worker, run in found:
            slot = slots[worker]
            # The task may wait behind another run, or have ended just now. Then the next look
            # decides.
            if (slot.task_id, slot.attempt) == run and not slot.ending:
                slot.end_run(*run, soft=now, hard=now + self._grace)
        self._looked = now
        self.due = now + (clock.nanoseconds(TICK) if found else self._every)
