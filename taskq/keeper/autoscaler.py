"""Autoscaling: when a pool should have a worker more, and when one less.

This is the policy. The supervisor adds and removes workers, as TTIN and TTOU ask it to.
"""

from __future__ import annotations

import os
import signal

from pool import Child, Slot, State, clock
from taskq.pool_context import KEEPER, PoolContext
from taskq.store.refusals import NEVER
from taskq.store.session import StoreSession

#: Seconds between two looks, and so between two workers that are added. A fork and a connection
#: take a tenth of that, so the last one works when the next is decided.
EVERY = 1.0
#: Seconds that some worker must have been idle before one is removed. As in Celery.
KEPT_IDLE = 30.0


class Autoscaler:
    """Keeps the number of a pool's workers between two bounds.

    While all workers are busy and work is due, each look adds a worker. Once some worker has been
    idle for ``KEPT_IDLE``, each look removes one, until none is idle.

    due: when to look next, by ``pool.clock``. NEVER where the pool has no bounds.
    """

    def __init__(self, child: Child, context: PoolContext, session: StoreSession) -> None:
        self._child = child
        self._scoreboard = child.scoreboard
        self._context = context
        self._session = session
        self._crowded = False
        self._idle_since = 0
        self.due: float = NEVER if context.autoscale is None else 0

    def look(self) -> None:
        """Ask for a worker more or less, if the last looks say so."""
        bounds, now = self._context.autoscale, clock.now()
        if bounds is None or now < self.due:
            return
        self.due = now + clock.nanoseconds(EVERY)
        workers = list(self._workers())
        idle = any(slot.state == State.IDLE for slot in workers)
        self._idle_since = (self._idle_since or now) if idle else 0
        strength = self._scoreboard.strength
        # A worker that is not up yet, or died, is not counted as busy.
        crowded = len(workers) == strength and all(slot.state == State.BUSY for slot in workers)
        before, self._crowded = self._crowded, crowded
        if strength < bounds.most and before and crowded and self._work_waits():
            self._ask(signal.SIGTTIN)
        elif strength > bounds.least and idle and self._has_been_idle(now):
            self._ask(signal.SIGTTOU)

    def _workers(self) -> list[Slot]:
        """The workers that are up and were not asked to end."""
        return [
            slot
            for slot in self._scoreboard.slots[KEEPER + 1 :]
            if slot.alive
            and slot.state in (State.IDLE, State.BUSY)
            and slot.asked != slot.generation
        ]

    def _work_waits(self) -> bool:
        lanes = self._session.store().lanes(self._context.queues)
        return any(lane.wait <= 0 for lane in lanes)

    def _has_been_idle(self, now: int) -> bool:
        return now - self._idle_since >= clock.nanoseconds(KEPT_IDLE)

    def _ask(self, number: signal.Signals) -> None:
        os.kill(self._child.supervisor_pid, number)
