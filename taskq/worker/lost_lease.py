"""What a worker does when it can go on under its lease no longer."""

from __future__ import annotations

from pool import Child
from taskq.pool_context import KEEPER
from taskq.worker.batch import Batch
from taskq.worker.sleeper import Sleeper


class LostLease:
    """Says whether the worker needs another lease, and asks the keeper for it."""

    def __init__(self, child: Child, batch: Batch, sleeper: Sleeper) -> None:
        self._slot = child.slot
        self._keeper = child.scoreboard.slots[KEEPER]
        self._batch = batch
        self._sleeper = sleeper

    def is_lost(self) -> bool:
        """Whether the worker needs another lease: it may hold tasks that it does not know of,
        or the lease is spent."""
        if self._batch.in_doubt:
            return True
        lease = self._slot.held_lease()
        return lease != 0 and lease == self._slot.spent_lease == self._batch.lease

    def ask_to_retire(self) -> bool:
        """Ask the keeper to retire the lease of the batch. True once the keeper has done so.

        The keeper locks the lease's row, and so waits for a claim that may still be in flight.
        """
        lease = self._slot.held_lease()
        self._sleeper.idle()
        if not lease or lease != self._batch.lease:
            # It is retired. A lease that was given meanwhile is not in doubt.
            self._batch.forget_all()
            self._slot.unwritten_task = 0
            return True
        self._slot.doubtful_lease = lease
        self._keeper.wake()
        return False
