"""The keeper: the process of a pool that renews its leases, reclaims the tasks of dead and
expired workers, and wakes workers when there is work. One connection, few statements."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from pool import Child, Contact, clock
from taskq import events, signals
from taskq.database_errors import DATABASE_ERRORS, Meaning, meaning, passes
from taskq.keeper.autoscaler import Autoscaler
from taskq.keeper.canceller import Canceller
from taskq.keeper.dispatcher import GLANCE, Dispatcher
from taskq.keeper.leases import Leases
from taskq.keeper.listener import Listener
from taskq.keeper.overrun import OverrunWatch
from taskq.keeper.partitions import PartitionKeeper
from taskq.keeper.progress import Reporter
from taskq.keeper.pruner import Pruner
from taskq.keeper.recent_runs import RecentRuns
from taskq.keeper.reclaimer import Reclaimer
from taskq.keeper.rollups import Rollups
from taskq.keeper.stacks import StackAnswers
from taskq.keeper.ticker import Ticker
from taskq.keeper.workflows import WorkflowKeeper
from taskq.pool_context import PoolContext
from taskq.store.grants import GrantCheck
from taskq.store.refusals import NEVER, Refusals
from taskq.store.session import StoreSession
from taskq.store.table_check import TableCheck
from taskq.store.turns import Turn

#: Nanoseconds of a round after which leases are looked at again. A round of which nothing is due
#: takes less: it must be quick, as each wake-up brings one.
STEP = clock.nanoseconds(0.020)
#: Seconds that a statement waits at most for a lock that another session holds, and that part of a
#: lease. A table may be locked for minutes, as by a migration. The other duties must go on.
LOCK_WAIT, LOCK_PART = 1.0, 0.05
#: Seconds that the end of a pool may wait for the database.
LAST_WORDS = 5.0


class Duty(NamedTuple):
    """What a keeper does again and again.

    what: for log lines, as in "cannot renew leases". do: finds out whether there is anything to do.
    due: when to do it next. NEVER if something else wakes the keeper for it.
    """

    what: str
    do: Callable[[], object]
    due: Callable[[], float]


class Keeper:
    """The keeper of a pool. ``run()`` does its duties in turn, each at its own due time.

    A duty that fails is tried again by itself, and does not stop the others.
    """

    def __init__(self, child: Child, context: PoolContext) -> None:
        self.child = child
        self.context = context
        self.settings = context.settings
        self.scoreboard = child.scoreboard
        turn, wait = Turn(child, first=True), min(LOCK_WAIT, LOCK_PART * self.settings.lease)
        self.session = context.session(child.name, turn, lock_wait=wait)
        listen = self.settings.listen
        #: The connection that hears wake-ups, where there is one.
        self.listener: Listener | None = None
        if listen:
            hears = self.session
            if isinstance(listen, str):
                hears = StoreSession(child.name, listen, self.settings.lease, direct=True)
            self.listener = Listener(hears, self.scoreboard)
        grace, heartbeat = self.settings.cancel_grace, self.settings.heartbeat
        self.stacks = StackAnswers(self.scoreboard, every=heartbeat)
        self.canceller = Canceller(self.scoreboard, grace=grace, every=heartbeat)
        self.reporter = Reporter(self.scoreboard)
        self.reclaimer = Reclaimer(child, context, self.session, between=self.keep_alive)
        self.overruns = OverrunWatch(child, context, self.session)
        self.ticker = Ticker(context.plan, self.session, context.alias)
        self.leases = Leases(child, context, self.session, self.reclaimer, self.listener)
        self.grants = GrantCheck(self.session, context.alias)
        self.tables = TableCheck(self.session, context.alias, again=heartbeat)
        self.dispatcher = Dispatcher(
            child,
            context,
            self.session,
            self.listener,
            told=self.canceller.told,
            asked=self.stacks.told,
        )
        self.autoscaler = Autoscaler(child, context, self.session)
        self.rollups = Rollups(self.scoreboard, self.session, context.id)
        self.recent_runs = RecentRuns(
            child, self.session, self.settings, context.pool, told=self.rollups.tell
        )
        self.workflows = WorkflowKeeper(self.session, every=heartbeat, between=self.keep_alive)
        self.pruner = Pruner(self.session, self.settings)
        self.partitions = PartitionKeeper(self.session, context.lifetimes, between=self.keep_alive)
        self._refusals = Refusals(child.name, self.session.close, limit=self.settings.heartbeat)
        leases, reclaimer, overruns = self.leases, self.reclaimer, self.overruns
        canceller, reporter = self.canceller, self.reporter
        self.duties = [
            Duty("renew leases", leases.renew, lambda: leases.due),
            Duty("look at grants", self.grants.look, lambda: NEVER),
            Duty("look at tables", self.tables.look, lambda: self.tables.due),
            Duty("reclaim tasks of the dead", reclaimer.reclaim_dead, lambda: reclaimer.dead_due),
            Duty("give back what waits too long", overruns.look, lambda: overruns.due),
            Duty("give leases", leases.give, lambda: reclaimer.living_due),
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
            Duty("look for work", self.dispatcher.dispatch, lambda: self.dispatcher.due),
            Duty("add or remove workers", self.autoscaler.look, lambda: self.autoscaler.due),
            Duty("look after workflows", self.workflows.look, lambda: self.workflows.due),
            Duty(
                "look for cancelled runs",
                lambda: canceller.look(self.session.store().runs),
                lambda: canceller.due,
            ),
            Duty(
                "write progress",
                lambda: reporter.look(self.session.store().runs),
                lambda: reporter.due,
            ),
            Duty("write recent runs", self.recent_runs.look, lambda: self.recent_runs.due),
            Duty("write figures", self.rollups.write, lambda: self.rollups.due),
            Duty("sum up hours", self.rollups.sum_up_hours, lambda: self.rollups.hours_due),
            Duty(
                "answer with stacks",
                lambda: self.stacks.look(self.session.store()),
                lambda: self.stacks.due,
            ),
            Duty("store losses", reclaimer.losses.write, lambda: reclaimer.losses.due),
            Duty("prune", self.pruner.prune, lambda: self.pruner.due),
            Duty("make and drop partitions", self.partitions.tend, lambda: self.partitions.due),
        ]

    def run(self) -> int:
        """Keep until told to stop; the exit code."""
        self.child.title()
        events.keeper_started(self.context.pool)
        self.scoreboard.contact = Contact.NONE
        self.child.booted()
        while not self.child.stopping:
            try:
                self.go_round()
                self.session.answered()
                complete = self.tables.complete
                self.scoreboard.contact = Contact.GOOD if complete else Contact.UNMIGRATED
                self.child.worked()
                self.sleep()
            except DATABASE_ERRORS as error:
                if self.listener is not None:
                    self.listener.lost()
                self.leases.lost()
                unmigrated = meaning(error) is Meaning.UNMIGRATED
                self.scoreboard.contact = Contact.UNMIGRATED if unmigrated else Contact.NONE
                self.child.wait(self.session.lost(error))
        return self.close()

    def go_round(self) -> None:
        """Do each duty that is due. Far from the database, all of them together take seconds."""
        kept_alive = 0
        for duty in self.duties:
            if (now := clock.now()) - kept_alive > STEP:
                self.keep_alive()
                kept_alive = now
            self._refusals.do(duty.what, duty.do)

    def keep_alive(self) -> None:
        """Renew leases, if it is time, between two duties or in the middle of one. Dead workers can
        wait, living ones cannot."""
        self.child.beat()
        renewing, *_ = self.duties
        self._refusals.do(renewing.what, renewing.do)

    def tick(self) -> None:
        """Send the periodic tasks that are due."""
        if self.ticker.tick():
            self.dispatcher.due = 0

    def sleep(self) -> None:
        """Sleep until a death, a new child, an enqueuer or the next due time wakes the keeper.

        A wake-up for work is passed on, and no round follows at once: the kernel likes to run the
        worker where the keeper runs, and would let it wait for the end of the round.
        """
        due = min(self._refusals.due(duty.what, duty.due()) for duty in self.duties)
        if (listener := self.listener) is None:
            self.child.wait(self._pause(due))
            return
        while (due := min(due, self.dispatcher.hear(listener))) > clock.now():
            wake_up = listener.fileno()
            if wake_up is None:
                self.child.wait(min(self._pause(due), GLANCE))
            elif self.child.wait(self._pause(due), wake_up) == [wake_up]:
                continue
            self.dispatcher.hear(listener)
            return

    def _pause(self, due: float) -> float:
        """Seconds until then, as far as the keeper may sleep."""
        return min((due - clock.now()) / clock.SECOND, self.settings.heartbeat)

    def close(self) -> int:
        """The workers have ended: reclaim from the last of them, and retire the keeper's lease."""
        until = clock.now() + clock.nanoseconds(LAST_WORDS)
        while True:
            self.child.beat()
            try:
                self.reclaimer.reclaim_dead(last=True)
                self._refusals.do("write figures", lambda: self.rollups.write(last=True))
                signals.wait_until_told(1.0)
                if own := self.child.slot.held_lease():
                    self.reclaimer.retire(own, ran=0, charge=False, cause="the pool stopped")
                self._refusals.do("store losses", self.reclaimer.losses.write)
                self.session.close()
                return 0
            except DATABASE_ERRORS as error:
                pause = self.session.lost(error)
                if clock.now() > until or not passes(error):
                    return 1  # the leases run out by themselves
                time.sleep(pause)
