"""Recording an outcome: what is written for it, and which event is told."""

from __future__ import annotations

from pool import Slot
from taskq import events, signals
from taskq.store import endings
from taskq.store.endings import Ending
from taskq.store.tasks import TaskStore
from taskq.task.claimed import Claimed
from taskq.task.keep_finished import Lifetimes
from taskq.task.measures import End
from taskq.task.outcomes import (
    Done,
    Failed,
    Fenced,
    Ignored,
    Interrupted,
    Outcome,
    Replaced,
    Retried,
)
from taskq.task.progress import Progress
from taskq.task.registry import Definition
from taskq.task.request import Request
from taskq.task.states import On
from taskq.worker import outage_loss
from taskq.worker.batch import Batch
from taskq.worker.meter import Meter
from taskq.worker.outcome_writer import OutcomeWriter
from taskq.worker.pace import Pace

#: The error of an atomic task whose end removed no row, though its worker holds it.
STILL_HELD = (
    "the end of its transaction did not remove its row, which its worker holds, so the transaction "
    "was rolled back: is there a trigger or a row security policy on taskq_task, or does Django's "
    "connection lead to another database than the queue's own?"
)


class Recorder:
    """Turns the outcomes of one worker's runs into writes and log events."""

    def __init__(
        self,
        slot: Slot,
        batch: Batch,
        pace: Pace,
        writer: OutcomeWriter,
        meter: Meter,
        lifetimes: Lifetimes,
    ) -> None:
        self.slot = slot
        self.batch = batch
        self.pace = pace
        self.writer = writer
        self.meter = meter
        self.lifetimes = lifetimes
        #: A run has failed with MemoryError: this process should not run another task.
        self.out_of_memory = False

    def record(
        self,
        task: Claimed,
        definition: Definition,
        outcome: Outcome,
        seconds: float,
        request: Request | None,
        *,
        heard: bool,
    ) -> bool:
        """Write an outcome that is not written yet. False if the task was no longer the worker's.

        seconds: that the run took. heard: somebody is told of the outcome, and may look for it.
        """
        if self.slot.hard_deadline:
            with self.writer.limited():
                end = self._record(task, definition, outcome, seconds, request, heard)
        else:
            end = self._record(task, definition, outcome, seconds, request, heard)
        if end is None:
            return False
        if task.step is not None and end not in (End.DONE, End.RETRIED):
            self.batch.note_stopped(task.id)
        self.meter.note(task, end, seconds)
        return True

    def _record(
        self,
        task: Claimed,
        definition: Definition,
        outcome: Outcome,
        seconds: float,
        request: Request | None,
        heard: bool,
    ) -> End | None:
        match outcome:
            case Done(written, result, passed):
                self.slot.done += 1
                if written and task.step is not None:
                    self.batch.note_passed(task.id)
                ours = written or self.finish(
                    task, definition, result, passed, request, heard=heard
                )
                if ours:
                    events.task_succeeded(task.id, task.name, seconds, request)
                return End.DONE if ours else None
            case Retried() | Failed() | Interrupted() if self.slot.ending:
                ours = self.cancelled(task, definition, outcome, request)
                return End.CANCELLED if ours else None
            case Ignored(reason):
                ours = self.end(task, definition, endings.finish(task.run), at_once=heard)
                if ours and task.step is not None:
                    self.batch.note_stopped(task.id)
                if ours:
                    events.task_ignored(task.id, task.name, reason, request)
                return End.DONE if ours else None
            case Retried(when, delay, error, traceback, kind, exception, changes):
                ending = endings.retry(
                    task.run,
                    when=when,
                    delay=delay,
                    error=error,
                    traceback=traceback,
                    kind=self._noted(kind, task, definition),
                    changes=changes,
                )
                heard = heard or bool(signals.task_retried.receivers)
                ours = self.end(task, definition, ending, at_once=heard)
                if ours:
                    self.slot.retried += 1
                    wait = f"at {when:%Y-%m-%d %H:%M:%S %Z}" if when else f"in {delay:.1f} s"
                    retry = task.retries + 1
                    events.task_retried(task.id, task.name, retry, wait, error, request, exception)
                return End.RETRIED if ours else None
            case Failed(error, traceback, kind, out_of_memory, exception):
                self.out_of_memory |= out_of_memory
                noted = self._noted(kind, task, definition)
                ending = endings.fail(
                    task.run,
                    error=error,
                    traceback=traceback,
                    kind=noted,
                    unheard=request is not None and bool(request.drops >> On.FAILED & 1),
                )
                heard = heard or bool(signals.task_failed.receivers)
                ours = self.keep_failed(task, definition, ending, at_once=heard)
                self.tell_failed(ours, task, error, traceback, request, exception)
                return End.FAILED if ours else None
            case Replaced(last, others):
                self.slot.done += 1
                ours = self.writer.write(
                    task.run,
                    task.name,
                    lambda db: db.workflows.replace(self.batch.lease, task.run, last, others),
                )
                if ours:
                    events.task_replaced(task.id, task.name, str(last["name"]))
                return End.DONE if ours else None
            case Interrupted():
                noted = self._noted(outcome.kind, task, definition)
                ours = outage_loss.lose(self.slot, self.batch, self.writer, task, outcome, noted)
                return End.LOST if ours else None
            case Fenced():
                # Check on the worker's own connection. What the task has done to its session must
                # not leave its row running for ever.
                if self.batch.in_doubt:  # the lease is given up
                    events.task_fenced(task.id, task.name)
                elif self.writer.write(
                    task.run, task.name, lambda db: db.holds(self.batch.lease, task.run)
                ):
                    return End.FAILED if self.fail(task, STILL_HELD, None, request) else None
        return None

    def finish(
        self,
        task: Claimed,
        definition: Definition,
        result: str | None,
        passed: str | None,
        request: Request | None,
        *,
        heard: bool,
    ) -> bool:
        """Write a success. Who is told of one that keeps its result may look for that.

        passed: what later steps of its workflow get of it.
        """
        options, lifetimes = definition.options, self.lifetimes
        if task.step is not None:
            lifetime = lifetimes.of(options, task.queue) or None
            heard = heard or bool(signals.task_succeeded.receivers)
            drops = request.drops if request is not None else 0
            ending = endings.pass_on(task.run, result, lifetime, passed, drops)
            return self.end(task, definition, ending, at_once=heard)
        # Most runs end here without another call.
        may_keep = options.keep_finished or lifetimes.by_queue
        if may_keep and (lifetime := lifetimes.of(options, task.queue)):
            ending = endings.archive(task.run, result, lifetime)
            heard = heard or bool(signals.task_succeeded.receivers)
            return self.end(task, definition, ending, at_once=heard)
        if result is None:
            return self.end(task, definition, endings.finish(task.run))
        heard = heard or bool(signals.task_succeeded.receivers)
        return self.end(task, definition, endings.keep(task.run, result), at_once=heard)

    def end(
        self, task: Claimed, definition: Definition, ending: Ending, *, at_once: bool = False
    ) -> bool:
        """Write how a run ended, or keep it to be written with others and with the next claim.

        It is written at once if the next claim may take a while, or if the task must never run
        twice. It stands in the finish log first: if the worker dies during an outage, the keeper
        writes it. Only what leaves a row under a hard time limit does not: the limit is in force
        until that is written, whatever a trigger does then.
        """
        if self.slot.hard_deadline and ending.is_seen:
            return self.writer.end(ending, task.name)
        if not self.batch.end_later(ending):
            self.writer.make_room()
            if not self.batch.end_later(ending):
                return self.writer.end(ending, task.name)
        # The row also knows: other code may have sent it with other options.
        once = task.alone or definition.options.on_lost == "fail"
        # With nothing left to run the next step is a claim, which writes this too.
        quick = not self.batch.waiting or self.pace.is_quick(task.name)
        if quick and not once and not at_once:
            return True
        return self.writer.end_newest(ending, task.name)

    def fail(self, task: Claimed, error: str, kind: str | None, request: Request | None) -> bool:
        """Write at once that it failed before or after its run."""
        ending = endings.fail(task.run, error=error, traceback="", kind=kind)
        return self.tell_failed(
            self.writer.end(ending, task.name), task, error, "", request, exception=None
        )

    def tell_failed(
        self,
        ours: bool,
        task: Claimed,
        error: str,
        traceback: str,
        request: Request | None,
        exception: BaseException | None,
    ) -> bool:
        if ours:
            self.slot.failed += 1
            events.task_failed(task.id, task.name, error, traceback, request, exception)
        return ours

    def keep_failed(
        self, task: Claimed, definition: Definition, ending: Ending, *, at_once: bool
    ) -> bool:
        """Write that a run failed, and its progress if it has set any."""
        found = self.slot.progress()
        if found is None:
            return self.end(task, definition, ending, at_once=at_once)
        progress = Progress(*found)

        def write(db: TaskStore) -> bool:
            db.runs.set_progress([(self.batch.lease, task.run, progress)])
            return ending.id in db.end(self.batch.lease, [ending])

        return self.writer.write(task.run, task.name, write)

    def cancelled(
        self,
        task: Claimed,
        definition: Definition,
        outcome: Retried | Failed | Interrupted,
        request: Request | None,
    ) -> bool:
        """A cancelled run has ended: keep the task as failed, whatever the run raised."""
        error = outcome.error or "cancelled"
        kind = self._noted(outcome.kind, task, definition)
        ending = endings.fail(task.run, error=error, traceback=outcome.traceback, kind=kind)
        ours = self.keep_failed(task, definition, ending, at_once=True)
        if ours:
            events.task_cancelled(task.id, task.name, error, request)
        return ours

    def _noted(self, kind: str, task: Claimed, definition: Definition) -> str | None:
        """The class of a run's error, for tasks that keep what came of each run. None for others:
        see :func:`taskq.store.endings.fail`."""
        options = definition.options
        keeps = not options.ignore_result or self.lifetimes.of(options, task.queue)
        return kind if keeps else None
