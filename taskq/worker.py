"""The worker: claim -> run -> record, in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextvars import copy_context

from pool import Child, Slot, State, clock
from pool.kernel import resident_kib
from taskq import context, events, execution, leases, registry, signals
from taskq.claims import Claimed, Lane
from taskq.context import Request
from taskq.execution import Outcome
from taskq.hand import Hand, Reliever
from taskq.host import Host
from taskq.hygiene import Hygiene, release_connections
from taskq.interrupting import Interrupter
from taskq.leases import DATABASE_ERRORS
from taskq.pace import Pace
from taskq.recording import Recorder
from taskq.registry import Definition
from taskq.service import KEEPER, Service
from taskq.visit import Visit

#: Seconds after which the lanes are looked at again, so that a more urgent one, or
#: another queue of the same priority, does not wait for long. When a look itself takes
#: long, it is taken so seldom that it costs no more than a twentieth of the time.
LOOK_AGAIN = 0.050
LOOK_COST = 20
#: Seconds from a claim that took all there was to the next look: tasks that come in one by
#: one are claimed together, or each would cost a commit of its own.
REST = 0.005
#: Seconds that a worker sleeps at most. The keeper wakes it when there is work.
SLEEP = 60.0


class Worker:
    """One worker of a pool; ``run()`` is its life."""

    def __init__(self, child: Child, service: Service) -> None:
        self.child = child
        self.service = service
        self.slot: Slot = child.slot
        self.hand = Hand()
        self.pace = Pace()
        #: Of the run in progress, or the last one.
        self.request: Request | None = None
        self.runs = 0
        self.worn_out = False
        self.link = service.link(child.name)
        self.interrupter = Interrupter(self.slot)
        self.recorder = Recorder(self.slot, self.hand, self.pace, self.link, service.settings)
        self._lanes: list[Lane] = []
        self._stale = 0
        self._rest_until = 0
        self._slept = True
        self._hygiene = Hygiene()
        context.host = Host(child, service.alias)
        self._reliever = Reliever(self.hand, lambda: self.link.current, lambda: child.stopping)

    def run(self) -> int:
        """Work until told to stop or worn out; the exit code."""
        self.child.on_soft_limit = self.interrupter.interrupt
        self._reliever.start()
        self.child.booted()
        self.child.title("idle")
        events.worker_started(self.child.name, self.service.pool)
        while not self.child.stopping and not self.worn_out:
            task = self.hand.take() or self.fetch()
            if task is not None:
                if signals.task_started.receivers:
                    # What a receiver sets is gone with the run.
                    copy_context().run(self.perform, task)
                else:
                    self.perform(task)
        self.leave()
        events.worker_stopped(self.child.name, self.service.pool)
        return 0

    # Claiming

    def fetch(self) -> Claimed | None:
        """Claim the next tasks, or sleep until there may be some."""
        try:
            if self.hand.in_doubt:
                self.recorder.write_finished()
                self.disown()
            elif self.lease_is_good() and (
                (self._slept and self.claim_first())
                or self.claim_from(self.known_lanes())
                or self.claim_from(self.look())
            ):
                return self.hand.take()
            self.recorder.write_finished()
            self.idle()
            release_connections()
            # With work in sight that others were quicker to claim, or without a good
            # lease, nobody is sure to wake us.
            quiet = not self._lanes and self.lease_is_good()
            self.child.wait(SLEEP if quiet else self.service.settings.poll)
            self._slept = True
        except DATABASE_ERRORS as error:
            # A claim may have been made of which we never heard.
            self.hand.drop()
            time.sleep(self.link.lost(error))
        return None

    def look(self) -> list[Lane]:
        """The lanes with due tasks, most urgent first; what is finished is written."""
        if (rest := self._rest_until - clock.now()) > 0:
            self.child.wait(rest / clock.SECOND)
        # Idle first, then the look: a wake-up that comes in between finds us idle.
        self.idle()
        began = clock.now()
        lanes, fenced = self.hand.look(self.link.leases(), self.service.queues)
        now = clock.now()
        self.recorder.say_fenced(fenced)
        self._lanes = [lane for lane in lanes if lane.wait <= 0]
        self._stale = now + max(clock.nanoseconds(LOOK_AGAIN), LOOK_COST * (now - began))
        self.link.answered()
        return self._lanes

    def known_lanes(self) -> list[Lane]:
        """Those of the last look, while it is fresh."""
        return self._lanes if clock.now() < self._stale else []

    def claim_first(self) -> bool:
        """After a sleep: claim what is most urgent, without a look at the lanes before."""
        self._slept = False
        if not self.prepare_to_claim():
            return False
        limit = self.pace.limit()
        leases, quick = self.link.leases(), self.pace.quick_names()
        claimed = self.hand.fill(leases, self.service.queues, limit, quick)
        self._stale = 0
        self.note_claim(claimed, limit)
        return claimed > 0

    def claim_from(self, lanes: list[Lane]) -> bool:
        """Claim from the most urgent lane that has anything left."""
        for lane in lanes:
            if not self.prepare_to_claim():
                return False
            limit = self.pace.limit()
            claimed, fenced = self.hand.refill(
                self.link.leases(), lane, limit, self.pace.quick_names()
            )
            self.recorder.say_fenced(fenced)
            self.note_claim(claimed, limit)
            if claimed:
                if claimed < limit:
                    self._stale = 0
                    if len(lanes) == 1:
                        self._rest_until = clock.now() + clock.nanoseconds(REST)
                return True
        return False

    def prepare_to_claim(self) -> bool:
        """Have the hand hold what comes under our lease; whether that is a good one."""
        lease = self.slot.held_lease()
        # Said before the claim: from now on the lease's deadline is enforced.
        self.slot.state = State.BUSY
        if not self.lease_is_good():
            return False
        if self.hand.lease != lease:
            self.recorder.write_finished()  # what was done under the old one
            self.hand.lease = lease
        return True

    def note_claim(self, claimed: int, limit: int) -> None:
        """See to it that nobody waits behind a batch, and that others claim what is left."""
        if claimed > 1:
            self._reliever.arm()
        if claimed == limit:
            self.service.wake_one(self.child.scoreboard)

    def idle(self) -> None:
        if self.slot.state != State.IDLE:
            self.slot.state = State.IDLE
            self.child.title("idle")

    def lease_is_good(self) -> bool:
        """Whether we hold a lease that is not about to end."""
        return bool(self.slot.held_lease()) and clock.now() < self.slot.lease_deadline

    def disown(self) -> None:
        """Have the keeper end our lease, as we have lost track of what we hold under it.

        Ending it locks our row, and so waits for a claim that may still be in flight.
        """
        lease = self.slot.held_lease()
        self.idle()
        if not lease or lease != self.hand.lease:
            # It has ended. One that we were given meanwhile is not in doubt.
            self.hand.renounce()
            return
        self.slot.doubtful_lease = lease
        self.child.scoreboard.slots[KEEPER].wake()

    # Running

    def perform(self, task: Claimed) -> None:
        """Run a task and record what came of it."""
        definition = registry.find(task.name)
        if task.expired:
            self.recorder.expired(task)
        elif definition is None:
            self.recorder.put_off_unknown(task)
        elif self.ready_for(task, definition):
            visit = self.visit(task, definition)
            self.start(task, definition)
            if visit is not None:
                visit.started()
            outcome = self.execute(task, definition, visit.first() if visit else ())
            seconds = (clock.now() - self.slot.since) / clock.SECOND
            self.restore()
            ours = self.recorder.conclude(task, definition, outcome, seconds, self.request)
            self.slot.task_id = 0
            if visit is not None and ours:
                visit.finished(outcome)
                self.restore()
            self.count_run()

    def ready_for(self, task: Claimed, definition: Definition) -> bool:
        """Before a task that may take long, what is finished must be written."""
        if not self.pace.is_quick(task.name):
            try:
                self.recorder.write_finished()
            except DATABASE_ERRORS as error:
                self.hand.drop()
                time.sleep(self.link.lost(error))
                return False
        if self.hand.lease != self.slot.held_lease():
            self.hand.renounce()  # the lease ran out: others have these tasks by now
            return False
        return self.may_go_on()

    def may_go_on(self) -> bool:
        """Whether our lease is good. One that is about to end is given up: else what we no
        longer run is held until it ends, and then charged; or for longer, if it is renewed."""
        if not self.lease_is_good():
            self.hand.drop()
            return False
        return True

    def start(self, task: Claimed, definition: Definition) -> None:
        """Say on the scoreboard, in the title and to who listens what runs."""
        slot, settings, options = self.slot, self.service.settings, definition.options
        hard = options.time_limit or settings.time_limit
        soft = options.soft_time_limit or settings.soft_time_limit
        now = clock.now()
        slot.begin(
            task.id,
            task.attempt,
            task.name,
            since=now,
            soft=now + clock.nanoseconds(soft) if soft else 0,
            hard=now + clock.nanoseconds(hard) if hard else 0,
        )
        if self.runs == 0:
            self.child.worked()
        # A title costs a quarter of a no-op. Of quick runs nobody could read the ids in it.
        quick = self.pace.is_quick(task.name)
        self.child.title(task.name if quick else f"{task.name} #{task.id}")
        events.task_started(task.id, task.name)

    def visit(self, task: Claimed, definition: Definition) -> Visit | None:
        """What the task's front door does around its run, if anything."""
        if definition.visit is None:
            return None
        # Named as in the statements that write results.
        worker = f"{self.service.pool}/{self.child.name}/{self.hand.lease}"
        return definition.visit(task, worker, self.service.alias)

    def execute(
        self, task: Claimed, definition: Definition, first: Sequence[object] = ()
    ) -> Outcome:
        self.request = execution.request_of(task)
        self.interrupter.armed = True
        try:
            return execution.execute(
                definition,
                task,
                self.request,
                alias=self.service.alias,
                finish=lambda result: self.finish_within(task, result),
                guard=self.interrupter.disarm,
                first=first,
            )
        finally:
            self.interrupter.armed = False

    def finish_within(self, task: Claimed, result: str | None) -> bool:
        """Finish an atomic task in the transaction of its own code; whether it was ours."""
        return self.may_go_on() and leases.finish_within(
            self.service.alias,
            self.hand.lease,
            task.run,
            result=result,
            direct=self.service.direct,
        )

    # Between two runs, and after the last

    def restore(self) -> None:
        """This process as it was before the run. Before the outcome is written: on SQLite a
        transaction that the task left open holds the lock that this takes."""
        self.child.install_signals()
        self._hygiene.restore()

    def count_run(self) -> None:
        """One run more; whether it is time for a new process in the place of this one."""
        self.runs += 1
        self.worn_out |= self.recorder.out_of_memory
        settings = self.service.settings
        if settings.max_tasks_per_child and self.runs >= settings.max_tasks_per_child:
            self.worn_out = True
        elif settings.max_memory_per_child and not self.hand.waiting:
            self.worn_out |= resident_kib() > settings.max_memory_per_child

    def leave(self) -> None:
        """Write what is finished and give back what is not started. The keeper ends
        our lease when we are gone, and so sees to what this did not reach."""
        try:
            self.hand.give_back(self.link.leases())
        except DATABASE_ERRORS as error:
            self.link.lost(error)
