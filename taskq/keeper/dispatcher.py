"""Dispatching: the keeper looks for work that is due, and wakes a worker for it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from pool import Child, State, clock
from taskq.keeper.listener import BUSY_LOOK, Listener
from taskq.pool_context import PoolContext
from taskq.sql import CANCEL, STACK, WORK
from taskq.store.refusals import NEVER
from taskq.store.session import StoreSession

#: Seconds between looks where nothing can wake us (SQLite: costs no query).
GLANCE = 0.05
#: Seconds from a wake-up that was passed on to our own look.
AFTERWARDS = 0.005
#: A look may cost a twentieth of the time, unless that would be less often than once in POLL.
LOOK_COST = 20


class Dispatcher:
    """Looks for work, and passes on the wake-ups that enqueuers send.

    listener: the connection that hears wake-ups; None where there is none.
    told: called when a task may have been cancelled. asked: when somebody may have asked for a
        stack.
    due: when to look next, by ``pool.clock``.
    """

    def __init__(
        self,
        child: Child,
        context: PoolContext,
        session: StoreSession,
        listener: Listener | None,
        told: Callable[[], None],
        asked: Callable[[], None],
    ) -> None:
        self._child = child
        self._scoreboard = child.scoreboard
        self._context = context
        self._session = session
        self._listener = listener
        self._told = told
        self._asked = asked
        self.due = 0
        self._last_work = 0
        self._empty_looks = 0
        self._same_looks = 0
        self._found: list[int] = []

    def dispatch(self) -> None:
        """Wake a worker when there is work; a worker that finds more wakes the next."""
        now = clock.now()
        if now < self.due:
            return
        if self._looked_for() or not any(self._context.sleepers(self._scoreboard)):
            # A worker looks already, and wakes the others that are needed. Or no worker sleeps:
            # each looks for itself before it sleeps.
            self._last_work, self._empty_looks = now, 0
            self.due = now + clock.nanoseconds(BUSY_LOOK)
            self._listen(now, work_in_sight=True)
            return
        lanes = self._session.store().lanes(self._context.queues)
        took = (clock.now() - now) / clock.SECOND
        due = [lane.id for lane in lanes if lane.wait <= 0]
        if due:
            # The same tasks again: a call that joined a unique one keeps it locked, or the worker
            # that was woken hangs.
            self._same_looks = self._same_looks + 1 if due == self._found else 0
            if not self._same_looks:
                self._last_work = now
            self._found = due
            self._empty_looks = 0
            self._context.wake_one(self._scoreboard, turn=self._same_looks)
        pause = min([self._pause(now), *(max(lane.wait, 0.001) for lane in lanes if lane.wait > 0)])
        cost = min(LOOK_COST * took, self._context.settings.poll)
        self.due = now + clock.nanoseconds(max(pause, cost))
        self._listen(now, work_in_sight=bool(due) and not self._same_looks)
        if self._context.burst and not due:
            self._end_burst()

    def hear(self, listener: Listener) -> int:
        """Pass a wake-up on at once, before any other duty. By when the duties must follow, by
        ``pool.clock``: NEVER where nothing was heard."""
        said = listener.heard(clock.now())
        if said[CANCEL]:
            self._told()
        if said[STACK]:
            self._asked()
        if said[WORK]:
            self._context.wake_first(self._scoreboard)
            # The worker that was woken looks for itself. The keeper checks later whether it did.
            self.due = min(self.due, clock.now() + clock.nanoseconds(AFTERWARDS))
        if said[CANCEL] or said[STACK]:
            return 0
        return self.due if said[WORK] else NEVER

    def _pause(self, now: int) -> float:
        """Seconds until the next look, if nothing wakes us and nothing falls due."""
        poll = self._context.settings.poll
        return poll if self._listener is None else self._listener.pause(now, self._last_work, poll)

    def _looked_for(self) -> bool:
        """Whether a worker is about to see what is due, while many tasks come in."""
        crowds = self._listener is not None and not self._listener.open
        return crowds and self._context.somebody_looks(self._scoreboard.living())

    def _listen(self, now: int, *, work_in_sight: bool) -> None:
        """Ask enqueuers for wake-ups, or for none, as the load is."""
        own = self._child.slot.held_lease()
        if self._listener is None or not own:
            return
        if self._listener.should_open(now, work_in_sight=work_in_sight) != self._listener.open:
            self._listener.switch(now)
            self._session.store().leases.set_listens(own, self._listener.open)
            # Look again at once. Enqueuers that have not seen the flag yet have sent no wake-up.
            # And once they send none, the next look must not wait for the poll interval.
            self.due = 0

    def _end_burst(self) -> None:
        """Nothing is due. If no worker is busy either, in two looks, end the pool."""
        slots = [
            slot
            for slot in self._scoreboard.living()
            if slot is not self._child.slot and slot.state != State.ASIDE
        ]
        idle = all(slot.state == State.IDLE and slot.held_lease() for slot in slots)
        self._empty_looks = self._empty_looks + 1 if slots and idle else 0
        self.due = min(self.due, clock.now() + clock.nanoseconds(GLANCE))
        if self._empty_looks == 2:
            os.kill(self._child.supervisor_pid, signal.SIGTERM)
