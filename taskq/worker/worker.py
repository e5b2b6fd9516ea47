"""The worker: claim -> run -> record, in a process of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextvars import copy_context

from django.db.backends.base.base import BaseDatabaseWrapper

from pool import Child, Slot, clock
from pool.kernel import resident_kib
from pool.leftovers import traits_of
from taskq import events
from taskq.connections import sessions
from taskq.connections.restoring import abandon_connections, close_copy
from taskq.database_errors import DATABASE_ERRORS
from taskq.pool_context import PoolContext
from taskq.store import tasks as task_store
from taskq.store.turns import Turn
from taskq.task import registry, request
from taskq.task.claimed import Claimed
from taskq.task.hooks import RunHooks
from taskq.task.outcomes import Done, Outcome
from taskq.task.registry import Definition
from taskq.task.request import Request
from taskq.worker import executor
from taskq.worker.batch import Batch
from taskq.worker.claimer import Claimer
from taskq.worker.cleanup import Cleanup, open_caches
from taskq.worker.interrupter import Interrupter
from taskq.worker.pace import Pace
from taskq.worker.recall import Recall
from taskq.worker.recorder import Recorder
from taskq.worker.run_handle import RunHandle


class Worker:
    """One worker of a pool; ``run()`` is its life."""

    pace_class: type[Pace] = Pace
    recorder_class: type[Recorder] = Recorder

    def __init__(self, child: Child, context: PoolContext) -> None:
        self.child = child
        self.context = context
        self.slot: Slot = child.slot
        self.batch = Batch(self.slot.finish_log)
        self.pace = self.pace_class()
        #: Of the run in progress, or the last one.
        self.request: Request | None = None
        self.runs = 0
        self.worn_out = False
        self.session = context.session(child.name, Turn(child, first=False))
        self.interrupter = Interrupter(self.slot)
        self.recorder = self.recorder_class(
            self.slot, self.batch, self.pace, self.session, context.settings
        )
        self._cleanup = Cleanup()  # until run() knows what is of the process
        request.enter(RunHandle(child, context.alias))
        self.recall = Recall(self.slot)
        self.claimer = Claimer(
            child,
            context,
            self.batch,
            self.pace,
            self.session,
            self.recorder,
            self.recall,
            settle=lambda: self._cleanup.settle(),
        )

    def run(self) -> int:
        """Work until told to stop or worn out; the exit code."""
        open_caches()
        sessions.begin()
        self.child.on_soft_limit = self.interrupter.interrupt
        events.worker_started(self.child.name, self.context.pool)
        # What the receivers have set up is of the process. In a context of its own: to look at
        # some of it, such as decimal's, makes it.
        traits = (*traits_of(self.child), sessions.database_settings())
        self._cleanup = copy_context().run(Cleanup, traits)
        os.register_at_fork(after_in_child=self.abandon)
        self.check_memory()
        # After the receivers: who counts as idle is woken, and must hear it.
        self.child.booted()
        self.child.title("idle")
        while not (self.child.stopping or self.worn_out or self._cleanup.beyond_repair):
            task = self.batch.next() or self.claimer.fetch()
            if task is not None:
                # What it sets, or a receiver, is gone with the run: a language, a time zone.
                copy_context().run(self.perform, task)
        self.leave()
        events.worker_stopped(self.child.name, self.context.pool)
        return 0

    def check_memory(self) -> None:
        """Say once for a pool that its limit leaves no room for a task."""
        limit, first = self.context.settings.max_memory_per_child, self.slot.generation == 1
        if limit and first and self.child.number == 1 and (kib := resident_kib()) > limit:
            events.memory_limit_too_low(kib, limit)

    # Running

    def perform(self, task: Claimed) -> None:
        """Run a task and record what came of it."""
        definition = registry.find(task.name)
        if task.expired:
            self.recorder.expired(task)
        elif definition is None:
            self.recorder.defer_unknown(task)
        elif self.ready_for(task, definition):
            hooks = self.hooks(task, definition)
            self.claimer.claim_ahead(task)
            self.begin(task, definition)
            if self.recall.pending:
                return self.answer_recall(task)
            self.tell(task)
            if hooks is not None:
                hooks.started()
            outcome = self.execute(task, definition, hooks.first() if hooks else ())
            now = clock.now()
            seconds = (now - self.slot.since) / clock.SECOND
            self.restore(task.name, now)
            if (raised := self.interrupter.raised) and isinstance(outcome, Done):
                events.interruption_swallowed(task.id, task.name, seconds, raised)
            ours = self.recorder.conclude(task, definition, outcome, seconds, self.request)
            self.slot.task_id = 0
            if hooks is not None and ours:
                hooks.finished(outcome)
                self.restore(task.name, now)
            self.count_run()

    def ready_for(self, task: Claimed, definition: Definition) -> bool:
        """Whether it may run. One that may take long, or cost its worker its life, is held alone:
        what is finished is written before, and what was claimed meanwhile is given back."""
        quick = not task.alone and self.pace.is_quick(task.name)
        if not quick:
            try:
                self.recorder.write_finished()
                if self.batch.waiting:
                    self.batch.give_back(self.session.store())
                self.slot.others = 0
            except DATABASE_ERRORS as error:
                self.batch.forget_waiting()  # this task too
                time.sleep(self.claimer.failed(error))
                return False
        if (self._cleanup.opened or not quick) and not self.is_sound(quick=quick):
            self.batch.forget_waiting()  # this task too: the keeper gives it back as we leave
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
        """Say on the scoreboard what runs."""
        slot, settings, options = self.slot, self.context.settings, definition.options
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

    def answer_recall(self, task: Claimed) -> None:
        """The keeper takes back what waits, this task too, or has done so by now: it does not run.
        Whoever of us two comes second touches no row."""
        self.recall.acknowledge()
        self.slot.task_id = 0
        self.batch.put_back(task)
        try:
            self.batch.give_back(self.session.store())
        except DATABASE_ERRORS as error:
            self.batch.forget_waiting()
            time.sleep(self.claimer.failed(error))

    def tell(self, task: Claimed) -> None:
        """Say in the title and to who listens what runs."""
        if self.runs == 0:
            self.child.worked()
        # A title costs a quarter of a no-op. Of quick runs nobody could read the ids in it.
        quick = self.pace.is_quick(task.name)
        self.child.title(task.name if quick else f"{task.name} #{task.id}")
        events.task_started(task.id, task.name)

    def hooks(self, task: Claimed, definition: Definition) -> RunHooks | None:
        """What the task's front door does around its run, if anything."""
        if definition.hooks is None:
            return None
        # Named as in the statements that write results.
        worker = f"{self.context.pool}/{self.child.name}/{self.batch.lease}"
        return definition.hooks(task, worker, self.context.alias)

    def execute(
        self, task: Claimed, definition: Definition, first: Sequence[object] = ()
    ) -> Outcome:
        self.request = executor.request_of(task)
        try:
            return executor.execute(
                definition,
                task,
                self.request,
                alias=self.context.alias,
                begin=self.begin_within,
                finish=lambda connection, result: self.finish_within(connection, task, result),
                arm=self.interrupter.arm,
                guard=self.interrupter.disarm,
                first=first,
            )
        finally:
            self.interrupter.disarm()

    def begin_within(self, connection: BaseDatabaseWrapper) -> AbstractContextManager[object]:
        return task_store.begin_within(connection, direct=self.context.settings.direct)

    def finish_within(
        self, connection: BaseDatabaseWrapper, task: Claimed, result: str | None
    ) -> bool:
        """Finish an atomic task in the transaction of its own code; whether it was ours."""
        if not self.slot.lease_is_good(clock.now()):
            self.batch.forget_waiting()
            return False
        return task_store.finish_within(
            connection,
            self.batch.lease,
            task.run,
            result=result,
            direct=self.context.settings.direct,
            home=self.session.home,
        )

    # Between two runs, and after the last

    def is_sound(self, *, quick: bool) -> bool:
        """Whether a run may begin in this process: what earlier ones left behind is undone."""
        return self._cleanup.before(quick=quick)

    def restore(self, name: str, now: int) -> None:
        """This process as it was before the run. Before the outcome is written: on SQLite a
        transaction that the task left open holds the lock that this takes."""
        self._cleanup.restore(name, now)

    def abandon(self) -> None:
        """In a process that a task has forked: it begins without connections, ours too."""
        abandon_connections()
        if (store := self.session.current) is not None and store.connection.fileno() is not None:
            close_copy(store.connection)

    def count_run(self) -> None:
        """One run more; whether it is time for a new process in the place of this one."""
        self.runs += 1
        self.worn_out |= self.recorder.out_of_memory
        settings = self.context.settings
        if settings.max_tasks_per_child and self.runs >= settings.max_tasks_per_child:
            self.worn_out = True
        limit = settings.max_memory_per_child
        if limit and not self.worn_out and not self.batch.waiting:
            kib = resident_kib()
            self.worn_out = kib > limit
            if self.worn_out:
                events.worker_grown(self.child.name, kib, limit, self.runs)

    def leave(self) -> None:
        """Write what is finished and give back what is not started. The keeper ends
        our lease when we are gone, and so sees to what this did not reach."""
        self.recorder.tally.tell()
        try:
            self.batch.give_back(self.session.store())
        except DATABASE_ERRORS as error:
            self.claimer.failed(error)
