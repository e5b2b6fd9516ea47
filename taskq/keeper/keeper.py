"""The keeper: the process of a pool that renews its leases, reclaims the tasks of dead and
expired workers, and wakes workers when there is work. One connection, few statements."""

from __future__ import annotations

import os
import signal
import time

from pool import Child, Slot, State, clock
from taskq import events, signals
from taskq.database_errors import DATABASE_ERRORS, passes
from taskq.keeper.canceller import Canceller
from taskq.keeper.leases import Renewer, runs
from taskq.keeper.listener import BUSY_LOOK, Listener
from taskq.keeper.overrun import OverrunWatch
from taskq.keeper.progress import Reporter
from taskq.keeper.reclaimer import Reclaimer
from taskq.keeper.ticker import Ticker
from taskq.pool_context import PoolContext
from taskq.sql import CANCEL, WORK
from taskq.store.apart import NEVER, Apart, Duty
from taskq.store.grants import GrantCheck
from taskq.store.session import StoreSession
from taskq.store.turns import Turn

#: Seconds between looks where nothing can wake us (SQLite: costs no query).
GLANCE = 0.05
#: Seconds from a wake-up that was passed on to our own look.
AFTERWARDS = 0.005
#: A look may cost a twentieth of the time, unless that would be less often than once in POLL.
LOOK_COST = 20
#: Seconds between looks for what is to be pruned, and rows removed by one of them.
PRUNE_EVERY = 60.0
PRUNE_BATCH = 1000
#: Seconds that the end of a pool may wait for the database.
LAST_WORDS = 5.0


class Keeper:
    """The keeper of a pool; ``run()`` is its life."""

    def __init__(self, child: Child, context: PoolContext) -> None:
        self.child = child
        self.context = context
        self.settings = context.settings
        self.scoreboard = child.scoreboard
        self.session = context.session(child.name, Turn(child, first=True))
        listen = self.settings.listen
        #: The connection that hears wake-ups, where there is one.
        self.listener = Listener(self.session) if listen is True else None
        if isinstance(listen, str):
            self.listener = Listener(
                StoreSession(child.name, listen, self.settings.lease, direct=True)
            )
        grace, heartbeat = self.settings.cancel_grace, self.settings.heartbeat
        self.canceller = Canceller(self.scoreboard, grace=grace, every=heartbeat)
        self.reporter = Reporter(self.scoreboard)
        self.reclaimer = Reclaimer(child, context, self.session, between=self.keep_alive)
        self.overruns = OverrunWatch(child, context, self.session)
        self.ticker = Ticker(context.plan, self.session, context.alias, self.settings.heartbeat)
        self.renewer = Renewer(child, self.session, self.settings)
        self.grants = GrantCheck(self.session, context.alias)
        self._look_due = 0
        # Not while everything starts.
        self._prune_due = clock.now() + clock.nanoseconds(self.settings.heartbeat)
        self._last_work = 0
        self._empty_looks = 0
        self._same_looks = 0
        self._due: list[int] = []
        self._apart = Apart(child.name, self.session.close, limit=self.settings.heartbeat)
        reclaimer, canceller, reporter = self.reclaimer, self.canceller, self.reporter
        overruns = self.overruns
        self.duties = [
            # First: to reclaim can take as long as another transaction keeps the tasks locked.
            Duty("renew leases", self.renewer.renew, lambda: self.renewer.due),
            Duty("look at grants", self.grants.look, lambda: NEVER),
            Duty("reclaim tasks of the dead", reclaimer.reclaim_dead, lambda: reclaimer.dead_due),
            Duty("give back what waits too long", overruns.look, lambda: overruns.due),
            Duty("give leases", self.give_leases, lambda: reclaimer.give_up_due),
            Duty(
                "reclaim expired leases",
                reclaimer.reclaim_expired,
                lambda: reclaimer.expired_due or NEVER,
            ),
            Duty(
                "look for missing workers",
                reclaimer.restore_missing,
                lambda: reclaimer.missing_due,
            ),
            Duty("send periodic tasks", self.tick, lambda: self.ticker.due),
            Duty("look for work", self.dispatch, lambda: self._look_due),
            Duty(
                "look for cancelled runs",
                lambda: canceller.look(self.session.store()),
                lambda: canceller.due,
            ),
            Duty(
                "write progress",
                lambda: reporter.look(self.session.store()),
                lambda: reporter.due,
            ),
            Duty("prune", self.prune, lambda: self._prune_due),
        ]

    def run(self) -> int:
        """Keep until told to stop; the exit code."""
        self.child.title()
        events.keeper_started(self.context.pool)
        self.child.booted()
        while not self.child.stopping:
            self.child.beat()
            try:
                for duty in self.duties:
                    self._apart.do(duty.what, duty.do)
                self.session.answered()
                self.child.worked()
                self.sleep()
            except DATABASE_ERRORS as error:
                if self.listener is not None:
                    self.listener.lost()
                self.renewer.lost()
                self.child.wait(self.session.lost(error))
        return self.close()

    # The duties, one a method

    def give_leases(self) -> None:
        """Give a lease to each child that is up and has none, lost track of what it holds, or runs
        nothing under one that is spent or has run out.

        One that is stopped (SIGSTOP) gets none, but what it holds is reclaimed all the same: it
        may have stopped between two runs, where nothing ends it.
        """
        self.reclaimer.forget_refusals()
        newcomers: dict[int, Slot] = {}
        now = clock.now()
        for slot in self.scoreboard.living():
            lease = slot.held_lease()
            spent = slot.spent_lease == lease or slot.lease_deadline <= now
            over = lease and ((spent and slot.state == State.IDLE) or slot.doubtful_lease == lease)
            if slot.state < State.IDLE or (lease and not over):
                continue
            if not self.reclaimer.ready_for(slot):
                continue
            if over and not self.reclaimer.give_up(lease, slot):
                continue
            if runs(slot):
                newcomers[slot.pid] = slot
        if not newcomers:
            return
        generations = {pid: slot.generation for pid, slot in newcomers.items()}
        processes = [(self._name(slot), pid) for pid, slot in newcomers.items()]
        asked = clock.now()
        given = self.session.store().leases.give(
            self.context.pool, self.context.host, processes, self.settings.lease
        )
        for pid, worker in given.items():
            newcomers[pid].grant(worker, generations[pid], self.renewer.deadline(asked))
            newcomers[pid].wake()
            if newcomers[pid] is self.child.slot and self.listener is not None:
                self.listener.open = False  # as far as enqueuers can see

    def keep_alive(self) -> None:
        """Between two of many dead: they can wait, but the leases of the living cannot."""
        self.child.beat()
        renewing, *_ = self.duties
        self._apart.do(renewing.what, renewing.do)

    def tick(self) -> None:
        """Send the periodic tasks that are due."""
        if self.ticker.tick():
            self._look_due = 0

    def dispatch(self) -> None:
        """Wake a worker when there is work; a worker that finds more wakes the next."""
        now = clock.now()
        if now < self._look_due:
            return
        if self._looked_for() or not any(self.context.sleepers(self.scoreboard)):
            # Somebody looks already, and wakes who is needed; or there is nobody to wake, as
            # each looks for itself before it sleeps.
            self._last_work, self._empty_looks = now, 0
            self._look_due = now + clock.nanoseconds(BUSY_LOOK)
            self._listen(now)
            return
        lanes = self.session.store().lanes(self.context.queues)
        took = (clock.now() - now) / clock.SECOND
        due = [lane.id for lane in lanes if lane.wait <= 0]
        if due:
            # The same again: who joined a unique one holds it, or who was woken hangs.
            self._same_looks = self._same_looks + 1 if due == self._due else 0
            if not self._same_looks:
                self._last_work = now
            self._due = due
            self._empty_looks = 0
            self.context.wake_one(self.scoreboard, turn=self._same_looks)
        pause = min([self._pause(now), *(max(lane.wait, 0.001) for lane in lanes if lane.wait > 0)])
        cost = min(LOOK_COST * took, self.settings.poll)
        self._look_due = now + clock.nanoseconds(max(pause, cost))
        self._listen(now)
        if self.context.burst and not due:
            self._end_burst()

    def prune(self) -> None:
        """Remove what was kept for long enough, a few rows at a time."""
        now = clock.now()
        if now < self._prune_due:
            return
        removed = self.session.store().prune(
            result_ttl=self.settings.result_ttl,
            failed_ttl=self.settings.failed_ttl,
            idempotency_ttl=self.settings.idempotency_ttl,
            limit=PRUNE_BATCH,
        )
        more = max(removed) == PRUNE_BATCH
        wait = LOOK_COST * (clock.now() - now) if more else clock.nanoseconds(PRUNE_EVERY)
        self._prune_due = now + wait

    def sleep(self) -> None:
        """Until woken: by a death, by a new child, by an enqueuer, or by the clock."""
        due = min(self._apart.due(duty.what, duty.due()) for duty in self.duties)
        pause = min((due - clock.now()) / clock.SECOND, self.settings.heartbeat)
        if self.listener is None:
            self.child.wait(pause)
        elif not self.hear(self.listener):  # else it came with the answer to some statement
            wake_up = self.listener.fileno()
            if wake_up is None:
                self.child.wait(min(pause, GLANCE))
            else:
                self.child.wait(pause, wake_up)
            self.hear(self.listener)

    def hear(self, listener: Listener) -> bool:
        """Pass a wake-up on at once, before any other duty; whether there was one."""
        said = listener.heard(clock.now())
        if said[CANCEL]:
            self.canceller.told()
        if said[WORK]:
            self.context.wake_first(self.scoreboard)
            # Who was woken looks for itself; we see later whether it did.
            self._look_due = min(self._look_due, clock.now() + clock.nanoseconds(AFTERWARDS))
        return bool(said)

    def close(self) -> int:
        """The workers are gone: reclaim from the last of them, and retire our own lease."""
        until = clock.now() + clock.nanoseconds(LAST_WORDS)
        while True:
            self.child.beat()
            try:
                self.reclaimer.reclaim_dead(last=True)
                signals.wait_until_told(1.0)
                if own := self.child.slot.held_lease():
                    self.reclaimer.retire(own, ran=0, charge=False, cause="the pool stopped")
                self.session.close()
                return 0
            except DATABASE_ERRORS as error:
                pause = self.session.lost(error)
                if clock.now() > until or not passes(error):
                    return 1  # the leases run out by themselves
                time.sleep(pause)

    # Details

    def _name(self, slot: Slot) -> str:
        return "keeper" if slot is self.child.slot else f"worker {slot.number}"

    def _pause(self, now: int) -> float:
        """Seconds until the next look, if nothing wakes us and nothing falls due."""
        if self.listener is None or self.listener.open:
            return self.settings.poll
        return self.listener.pause(now, self._last_work)

    def _looked_for(self) -> bool:
        """Whether a worker is about to see what is due, while tasks come in crowds."""
        crowds = self.listener is not None and not self.listener.open
        return crowds and self.context.somebody_looks(self.scoreboard.living())

    def _listen(self, now: int) -> None:
        """Ask enqueuers for wake-ups, or for none, as the load is."""
        own = self.child.slot.held_lease()
        if self.listener is None or not own:
            return
        if self.listener.should_open(now, self._last_work) != self.listener.open:
            self.listener.switch(now, self._last_work)
            self.session.store().leases.set_listens(own, self.listener.open)
            # Look again at once: what came before the flag was seen sent no wake-up; and
            # once nobody sends any, the next look is no longer a poll away.
            self._look_due = 0

    def _end_burst(self) -> None:
        """Nothing is due: if nobody is at work either, twice over, the pool may end."""
        slots = [slot for slot in self.scoreboard.living() if slot is not self.child.slot]
        idle = all(slot.state == State.IDLE and slot.held_lease() for slot in slots)
        self._empty_looks = self._empty_looks + 1 if slots and idle else 0
        self._look_due = min(self._look_due, clock.now() + clock.nanoseconds(GLANCE))
        if self._empty_looks == 2:
            os.kill(self.child.supervisor_pid, signal.SIGTERM)
