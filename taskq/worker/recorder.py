"""Recording an outcome: what is written for it, and which event is told."""

from __future__ import annotations

from pool import Slot
from taskq import events
from taskq.exceptions import UnknownTask
from taskq.store.tasks import TaskStore
from taskq.task.claimed import Claimed
from taskq.task.outcomes import Done, Failed, Fenced, Interrupted, Outcome, Retried
from taskq.task.progress import Progress
from taskq.task.registry import Definition
from taskq.task.request import Request
from taskq.worker.batch import Batch
from taskq.worker.executor import request_of
from taskq.worker.outcome_writer import OutcomeWriter
from taskq.worker.pace import Pace
from taskq.worker.tally import Tally

#: After an outage has ended a run, the task waits a second. The wait grows by this factor each
#: time, to AGAIN_MOST seconds: the database that is away may be another one than the queue's.
AGAIN = 5.0
AGAIN_MOST = 60.0
#: The error of an atomic task whose end removed no row, though its worker holds it.
STILL_HELD = (
    "the end of its transaction did not remove its row, which its worker holds, so the transaction "
    "was rolled back: is there a trigger or a row security policy on taskq_task, or does Django's "
    "connection lead to another database than the queue's own?"
)

#: The kind of error of a task that no worker knew, as its result shows it.
UNKNOWN = f"{UnknownTask.__module__}.{UnknownTask.__qualname__}"


class Recorder:
    """Turns the outcomes of one worker's runs into writes and log events."""

    def __init__(
        self,
        slot: Slot,
        batch: Batch,
        pace: Pace,
        writer: OutcomeWriter,
        tally: Tally,
        *,
        unknown_task_ttl: float,
    ) -> None:
        self.slot = slot
        self.batch = batch
        self.pace = pace
        self.writer = writer
        self.tally = tally
        self._unknown_task_ttl = unknown_task_ttl
        #: A run has failed with MemoryError: this process should not run another task.
        self.out_of_memory = False

    def record(
        self,
        task: Claimed,
        definition: Definition,
        outcome: Outcome,
        seconds: float,
        request: Request | None,
    ) -> bool:
        """Write an outcome that is not written yet. False if the task was no longer the worker's.

        seconds: that the run took.
        """
        if not self.slot.hard_deadline:
            return self._record(task, definition, outcome, seconds, request)
        with self.writer.limited():
            return self._record(task, definition, outcome, seconds, request)

    def _record(
        self,
        task: Claimed,
        definition: Definition,
        outcome: Outcome,
        seconds: float,
        request: Request | None,
    ) -> bool:
        keeps = not definition.options.ignore_result
        if definition.options.on_lost != "fail":
            self.pace.note(task.name, seconds)
        match outcome:
            case Done(written, result):
                self.slot.done += 1
                ours = written or self.finish(task, definition, result)
                if ours:
                    events.task_succeeded(task.id, task.name, seconds, request)
                    if seconds < events.SLOW:
                        self.tally.note(task.id, task.name, seconds)
                return ours
            case Retried() | Failed() | Interrupted() if self.slot.ending:
                return self.cancelled(task, outcome, keeps, request)
            case Retried(when, delay, error, traceback, kind, exception):
                ours = self.writer.write(
                    task.run,
                    task.name,
                    lambda db: db.retry(
                        self.batch.lease,
                        task.run,
                        when=when,
                        delay=delay,
                        error=error,
                        traceback=traceback,
                        kind=kind if keeps else None,
                    ),
                )
                if ours:
                    self.slot.retried += 1
                    wait = f"at {when:%Y-%m-%d %H:%M:%S %Z}" if when else f"in {delay:.1f} s"
                    retry = task.retries + 1
                    events.task_retried(task.id, task.name, retry, wait, error, request, exception)
                return ours
            case Failed(error, traceback, kind, out_of_memory, exception):
                self.out_of_memory |= out_of_memory
                kept = kind if keeps else None
                return self.fail(task, error, traceback, kept, request, exception)
            case Interrupted():
                return self.lose(task, outcome, keeps)
            case Fenced():
                # Check on the worker's own connection. What the task has done to its session must
                # not leave its row running for ever.
                if self.batch.in_doubt:  # the lease is given up
                    events.task_fenced(task.id, task.name)
                elif self.writer.write(
                    task.run, task.name, lambda db: db.holds(self.batch.lease, task.run)
                ):
                    return self.fail(task, STILL_HELD, "", None, request)
        return False

    def finish(self, task: Claimed, definition: Definition, result: str | None) -> bool:
        """Write a success, or keep it to be written with others and with the next claim.

        It is written at once if the next claim may take a while, if the task must never run
        twice, or if its result is kept. A success without a result stands in the finish log
        first: if the worker dies during an outage, the keeper writes it.
        """
        if result is not None:
            return self.writer.write(
                task.run, task.name, lambda db: db.keep(self.batch.lease, task.run, result)
            )
        if not self.batch.finish_later(task.run):
            return self.remove(task)
        # The row also knows: other code may have sent it with other options.
        once = task.alone or definition.options.on_lost == "fail"
        # With nothing left to run the next step is a claim, which writes this too.
        quick = not self.batch.waiting or self.pace.is_quick(task.name)
        if not once and quick:
            return True
        ours = self.remove(task)
        self.batch.forget_newest()
        return ours

    def fail(
        self,
        task: Claimed,
        error: str,
        traceback: str,
        kind: str | None,
        request: Request | None,
        exception: BaseException | None = None,
    ) -> bool:
        ours = self.keep_failed(task, error, traceback, kind)
        if ours:
            self.slot.failed += 1
            events.task_failed(task.id, task.name, error, traceback, request, exception)
        return ours

    def keep_failed(self, task: Claimed, error: str, traceback: str, kind: str | None) -> bool:
        """Write that it failed, and its progress if it has set any."""

        def write(db: TaskStore) -> bool:
            if (progress := self.slot.progress()) is not None:
                db.set_progress([(self.batch.lease, task.run, Progress(*progress))])
            return db.fail(self.batch.lease, task.run, error=error, traceback=traceback, kind=kind)

        return self.writer.write(task.run, task.name, write)

    def lose(self, task: Claimed, outcome: Interrupted, keeps: bool) -> bool:
        """Write a run that an outage has ended, once the outage is over."""
        wait = 0.0 if task.losses < 0 else min(AGAIN_MOST, AGAIN ** min(task.losses, 9))
        came: list[tuple[int, bool]] = []

        def write(db: TaskStore) -> bool:
            lost = db.lose(
                self.batch.lease,
                task.run,
                delay=wait,
                error=outcome.error,
                traceback=outcome.traceback,
                kind=outcome.kind if keeps else None,
            )
            came.extend([lost] if lost is not None else [])
            return lost is not None

        ours = self.writer.write(task.run, task.name, write)
        if ours:
            ((losses, failed),) = came
            self.slot.failed += failed
            events.task_interrupted(
                task.id, task.name, outcome.error, losses, None if failed else wait
            )
        return ours

    def cancelled(
        self,
        task: Claimed,
        outcome: Retried | Failed | Interrupted,
        keeps: bool,
        request: Request | None,
    ) -> bool:
        """A cancelled run has ended: keep the task as failed, whatever the run raised."""
        error, traceback = outcome.error or "cancelled", outcome.traceback
        kind = outcome.kind if keeps else None
        ours = self.keep_failed(task, error, traceback, kind)
        if ours:
            events.task_cancelled(task.id, task.name, error, request)
        return ours

    def expired(self, task: Claimed) -> None:
        """Remove a task that was not started in time."""
        events.task_expired(task.id, task.name)
        self.remove(task)

    def defer_unknown(self, task: Claimed) -> None:
        """Leave the task to workers that may know it, until its time is over."""
        unknown_for = task.unknown_for or 0.0
        limit = self._unknown_task_ttl
        if unknown_for > limit:
            text = (
                f"no worker knew the task {task.name!r} for {limit:g} s "
                "(TASKQ['UNKNOWN_TASK_TTL']): was it renamed, removed, or its app uninstalled?"
            )
            self.fail(task, text, "", UNKNOWN, request_of(task))
            return
        wait = min(60.0, 1.0 + max(0.0, unknown_for) / 2)  # the database's clock may be set back
        events.task_unknown(task.id, task.name, wait)
        self.writer.write(
            task.run, task.name, lambda db: db.defer(self.batch.lease, task.run, wait)
        )

    def remove(self, task: Claimed) -> bool:
        """Write at once that nothing is left to do. False if the worker had lost it."""
        return self.writer.remove(task.run, task.name)
