"""The worker: claim -> run -> record, in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextvars import copy_context

from pool import Child, Others, Slot, clock
from pool.leftovers import traits_of
from taskq import events
from taskq.connections import sessions
from taskq.database_errors import DATABASE_ERRORS
from taskq.pool_context import PoolContext
from taskq.store.turns import Turn
from taskq.task import registry, request
from taskq.task.claimed import Claimed
from taskq.task.hooks import RunHooks
from taskq.task.keep_finished import Lifetimes
from taskq.task.outcomes import Done, Outcome
from taskq.task.registry import Definition
from taskq.task.request import Request
from taskq.worker import forked
from taskq.worker.atomic_end import AtomicEnd
from taskq.worker.batch import Batch
from taskq.worker.claimer import Claimer
from taskq.worker.cleanup import Cleanup, open_caches
from taskq.worker.executor import Executor, request_of
from taskq.worker.interrupter import Interrupter
from taskq.worker.lost_lease import LostLease
from taskq.worker.meter import Meter
from taskq.worker.not_run import NotRun
from taskq.worker.outcome_writer import OutcomeWriter
from taskq.worker.pace import Pace
from taskq.worker.recall import Recall
from taskq.worker.recorder import Recorder
from taskq.worker.run_handle import RunHandle
from taskq.worker.sleeper import Sleeper
from taskq.worker.state_writer import StateWriter
from taskq.worker.tally import Tally
from taskq.worker.wear import Wear


class Worker:
    """One worker of a pool; ``run()`` is its life."""

    pace_class: type[Pace] = Pace
    writer_class: type[OutcomeWriter] = OutcomeWriter
    not_run_class: type[NotRun] = NotRun

    def __init__(self, child: Child, context: PoolContext) -> None:
        self.child = child
        self.context = context
        self.slot: Slot = child.slot
        self.batch = Batch(self.slot.finish_log, context.queues.surely_served)
        self.pace = self.pace_class()
        #: Of the run in progress, or the last one.
        self.request: Request | None = None
        self.wear = Wear(child, context.settings)
        self.session = context.session(child.name, Turn(child, first=False))
        self.interrupter = Interrupter(self.slot)
        self.writer = self.writer_class(self.slot, self.batch, self.session, context.settings.lease)
        self.tally = Tally(child.name)
        self.meter = Meter(child, self.batch, self.tally, shares=context.settings.statistics)
        lifetimes = Lifetimes(context.settings.kept_queues)
        self.recorder = Recorder(
            self.slot, self.batch, self.pace, self.writer, self.meter, lifetimes
        )
        self.not_run = self.not_run_class(
            self.recorder, unknown_task_ttl=context.settings.unknown_task_ttl
        )
        self.end = AtomicEnd(
            self.slot, self.batch, self.session, lifetimes, direct=context.settings.direct
        )
        self.executor = Executor(context.alias, self.interrupter, self.end)
        self.sleeper = Sleeper(child, context)
        self.claimer = Claimer(
            child, context, self.batch, self.pace, self.session, self.writer, self.sleeper
        )
        self.lost_lease = LostLease(child, self.batch, self.sleeper)
        self.recall = Recall(self.slot)
        self._cleanup = Cleanup()  # until run() knows what belongs to the process
        states = StateWriter(self.slot, self.batch, self.session, self.interrupter, context.alias)
        request.enter(RunHandle(child, context.alias, states))

    def run(self) -> int:
        """Work until told to stop or worn out; the exit code."""
        open_caches()
        sessions.begin()
        self.child.on_soft_limit = self.interrupter.interrupt
        events.worker_started(self.child.name, self.context.pool)
        # What receivers have set up belongs to the process. The check has a context of its own, as
        # reading some traits, such as decimal's, creates them.
        traits = (*traits_of(self.child), sessions.database_settings())
        self._cleanup = copy_context().run(Cleanup, traits)
        forked.begin_without_connections(self.session)
        self.wear.check_memory()
        # After the receivers: an idle worker is woken, and must be able to hear it.
        self.child.booted()
        self.child.title("idle")
        while not (self.child.stopping or self.wear.worn_out or self._cleanup.beyond_repair):
            task = self.batch.next() or self.fetch()
            if task is not None:
                # What the task or a receiver sets, such as a language, ends with the run.
                copy_context().run(self.perform, task)
        self.leave()
        events.worker_stopped(self.child.name, self.context.pool)
        return 0

    def fetch(self) -> Claimed | None:
        """Claim the next tasks, or sleep until there may be some."""
        self.meter.flush()
        self.tally.tell_when_due()
        try:
            if self.lost_lease.is_lost():
                if self.ask_to_retire_lease():
                    return None  # there is a new lease, for which no wake-up comes
            elif self.claim():
                return self.batch.next()
            if not self.child.stopping:
                self.sleep()
        except DATABASE_ERRORS as error:
            time.sleep(self.claimer.failed(error))
        return None

    def claim(self) -> bool:
        """Take what was claimed ahead, or else claim. Whether anything came."""
        if self.claimer.collect():
            return True
        self.recall.before_claim()
        return self.claimer.claim()

    def ask_to_retire_lease(self) -> bool:
        """Write what has ended and forget the rest. True once the lease is retired."""
        self.writer.write_ended()
        self.batch.forget_waiting()  # also what a claim ahead has brought
        self.recall.before_claim()
        return self.lost_lease.ask_to_retire()

    def sleep(self) -> None:
        """Write what is finished, tidy up, and sleep until there may be tasks."""
        self.writer.write_ended()
        self.sleeper.idle()
        if self._cleanup.settle():
            self.sleeper.sleep(work_in_sight=self.claimer.sees_work, at_most=self.tally.wait())
            self.claimer.note_sleep()

    # Running

    def perform(self, task: Claimed) -> None:
        """Run a task and record its outcome."""
        definition = registry.find(task.name)
        quick = self.pace.is_quick(task.name)
        if task.expired:
            self.not_run.expired(task)
        elif definition is None:
            self.not_run.defer_unknown(task)
        elif self.ready_for(task, definition, quick=quick):
            hooks = None if definition.hooks is None else self.hooks(task, definition.hooks)
            self.claimer.send_ahead(task, quick=quick, last=self.wear.is_last_run)
            self.begin(task, definition)
            if self.recall.pending:
                return self.answer_recall(task)
            self.tell(task, quick=quick)
            if hooks is not None:
                hooks.started()
            outcome = self.execute(task, definition, hooks.first() if hooks else ())
            now = clock.now()
            seconds = (now - self.meter.began) / clock.SECOND
            if definition.options.on_lost != "fail":  # such a task is always held alone
                own = self.executor.own_seconds(self.meter.began, now)
                self.pace.note(task.name, own, seconds)
            self.restore(task.name, now)
            if (raised := self.interrupter.raised) and isinstance(outcome, Done):
                events.interruption_swallowed(task.id, task.name, seconds, raised)
            heard = hooks is not None and hooks.heard
            ours = self.recorder.record(
                task, definition, outcome, seconds, self.request, heard=heard
            )
            self.slot.task_id = 0
            if hooks is not None and ours:
                assert self.request is not None  # of this run
                hooks.finished(outcome, self.request, seconds)
                self.restore(task.name, now)
            self.wear.count_run(self.batch, out_of_memory=self.recorder.out_of_memory)

    def ready_for(self, task: Claimed, definition: Definition, *, quick: bool) -> bool:
        """Whether the task may run. quick: its name is known as that.

        Before a task that is not known to be quick, the other tasks are given back. Before one that
        may take long, or may kill its worker, ended runs are written too.
        """
        quick = quick and not task.alone
        if not quick:
            self.meter.flush()
            try:
                short = not task.alone and self.pace.is_short(task.name)
                if not short or self.batch.claims_ahead:
                    self.writer.write_ended()
                if self.batch.waiting:
                    self.batch.give_back(self.session.store())
                self.slot.others = Others.NONE
            except DATABASE_ERRORS as error:
                self.batch.forget_waiting()  # this task too
                time.sleep(self.claimer.failed(error))
                return False
        if (self._cleanup.opened or not quick) and not self.is_sound(quick=quick):
            self.batch.forget_waiting()  # this task too: the keeper gives it back at the end
            return False
        lease = self.slot.held_lease()
        if self.batch.lease != lease:
            self.batch.forget_all()  # the lease ran out: others have these tasks by now
            return False
        if not self.slot.may_start_under(lease, clock.now()):
            # A task that no longer runs here must not be held until the lease ends, and be charged.
            self.batch.forget_waiting()
            return False
        return True

    def begin(self, task: Claimed, definition: Definition) -> None:
        """Write on the scoreboard what runs."""
        slot, settings, options = self.slot, self.context.settings, definition.options
        hard = options.time_limit or settings.time_limit
        soft = options.soft_time_limit or settings.soft_time_limit
        self.meter.began = now = clock.now()
        slot.begin(
            task.id,
            task.attempt,
            task.name,
            since=now,
            soft=now + clock.nanoseconds(soft) if soft else 0,
            hard=now + clock.nanoseconds(hard) if hard else 0,
        )

    def answer_recall(self, task: Claimed) -> None:
        """Do not run the task: the keeper gives back what waits, or has done so by now. The worker
        gives it back too, and the second of the two touches no row."""
        self.recall.acknowledge()
        self.slot.task_id = 0
        self.batch.put_back(task)
        try:
            self.batch.give_back(self.session.store())
        except DATABASE_ERRORS as error:
            self.batch.forget_waiting()
            time.sleep(self.claimer.failed(error))

    def tell(self, task: Claimed, *, quick: bool) -> None:
        """Show in the title what runs, and log it."""
        if self.wear.runs == 0:
            self.child.worked()
        # A title costs a quarter of a no-op. Nobody could read the ids of quick runs in it.
        self.child.title(task.name if quick else f"{task.name} #{task.id}")
        events.task_started(task.id, task.name)

    def hooks(self, task: Claimed, make: Callable[[Claimed, str], RunHooks]) -> RunHooks:
        """What the task's front door does around this run."""
        # The name that the statements give to results.
        worker = f"{self.context.pool}/{self.child.name}/{self.batch.lease}"
        return make(task, worker)

    def execute(
        self, task: Claimed, definition: Definition, first: Sequence[object] = ()
    ) -> Outcome:
        self.request = request_of(task)
        try:
            return self.executor.run(definition, task, self.request, first)
        finally:
            self.interrupter.disarm()

    # Between two runs, and after the last

    def is_sound(self, *, quick: bool) -> bool:
        """Undo what earlier runs left behind. Whether a run may begin in this process."""
        return self._cleanup.before(quick=quick)

    def restore(self, name: str, now: int) -> None:
        """Undo what the run left behind, before the outcome is written: on SQLite a transaction
        that the task left open holds the lock that the write needs."""
        self._cleanup.restore(name, now)

    def leave(self) -> None:
        """Write what is finished and give back what is not started. What this cannot write, the
        keeper does when it retires the lease."""
        self.meter.flush()
        self.tally.tell()
        try:
            self.batch.give_back(self.session.store())
            self.batch.release(self.session.store(), last=True)
        except DATABASE_ERRORS as error:
            self.claimer.failed(error)
