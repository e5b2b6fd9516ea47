"""What came of a run, written: finished, retried, failed, put off; and said to who listens."""

from __future__ import annotations

import time
from collections.abc import Callable

from pool import Slot, clock
from taskq import events
from taskq.conf import Settings
from taskq.database_errors import passes
from taskq.exceptions import UnknownTask
from taskq.store.apart import Refusal, concerns_all
from taskq.store.refused_outcome import RowKept, plain_refusal
from taskq.store.session import StoreSession
from taskq.store.tasks import TaskStore
from taskq.task.claimed import Claimed, Run
from taskq.task.outcomes import Done, Failed, Fenced, Interrupted, Outcome, Retried
from taskq.task.progress import Progress
from taskq.task.registry import Definition
from taskq.task.request import Request
from taskq.worker import executor
from taskq.worker.batch import Batch
from taskq.worker.pace import Pace
from taskq.worker.tally import Tally

#: Seconds until a run that an outage has ended is started again: so much more each time, as what
#: is away may be another database than ours.
AGAIN = 5.0
AGAIN_MOST = 60.0
#: The error of an atomic task whose end removed no row, though its worker holds it.
STILL_HELD = (
    "the end of its transaction did not remove its row, which its worker holds, so the transaction "
    "was rolled back: is there a trigger or a row security policy on taskq_task, or does Django's "
    "connection lead to another database than the queue's own?"
)

#: The kind of error of a task that no worker knew, among those of its result.
UNKNOWN = f"{UnknownTask.__module__}.{UnknownTask.__qualname__}"


class Recorder:
    """Writes the outcomes of one worker's runs, each under the lease of its batch."""

    def __init__(
        self, slot: Slot, batch: Batch, pace: Pace, session: StoreSession, settings: Settings
    ) -> None:
        self.slot = slot
        self.batch = batch
        self.pace = pace
        self.session = session
        self.settings = settings
        self.tally = Tally(session.owner)
        self._refusal = Refusal(session.owner, "write an outcome")
        #: Nanoseconds that the end of the run in progress may take to write; 0 for no limit.
        self._limit = 0
        #: A run has failed for want of memory: this process should not have another.
        self.out_of_memory = False

    def conclude(
        self,
        task: Claimed,
        definition: Definition,
        outcome: Outcome,
        seconds: float,
        request: Request | None,
    ) -> bool:
        """Write the outcome, if it is not; whether it was ours to write."""
        # The time limit is of the function. To write what came of it has as long again, and longer
        # than it takes to see that the database is away.
        hard = self.slot.hard_deadline
        if not hard:
            return self._conclude(task, definition, outcome, seconds, request)
        self._limit = max(hard - self.slot.since, clock.nanoseconds(self.settings.lease / 2))
        self._extend_limit()
        try:
            return self._conclude(task, definition, outcome, seconds, request)
        finally:
            self.slot.hard_deadline = self._limit = 0

    def _conclude(
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
                ours = self.record(
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
                # Looked at again by our own connection: what its code has done to its session must
                # not leave a task running for ever under a worker that has long gone on.
                if self.batch.in_doubt:  # the lease is given up
                    events.task_fenced(task.id, task.name)
                elif self.record(
                    task.run, task.name, lambda db: db.holds(self.batch.lease, task.run)
                ):
                    return self.fail(task, STILL_HELD, "", None, request)
        return False

    def finish(self, task: Claimed, definition: Definition, result: str | None) -> bool:
        """Write a success. It is put off, to be written with others and with the next claim,
        unless that may take a while, the task must never run twice, or its result is kept.

        But for one with a result it is on the scoreboard before: should we die of an outage, the
        keeper writes it.
        """
        if result is not None:
            return self.record(
                task.run, task.name, lambda db: db.keep(self.batch.lease, task.run, result)
            )
        if not self.batch.finish_later(task.run):
            return self.remove(task)
        # Its row knows how it was sent, by whatever code.
        once = task.alone or definition.options.on_lost == "fail"
        # With nothing left to run, the next step is to claim, and this goes with it.
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
        """Write that it failed, and how far it came, if it ever said."""

        def write(db: TaskStore) -> bool:
            if (progress := self.slot.progress()) is not None:
                db.set_progress([(self.batch.lease, task.run, Progress(*progress))])
            return db.fail(self.batch.lease, task.run, error=error, traceback=traceback, kind=kind)

        return self.record(task.run, task.name, write)

    def lose(self, task: Claimed, outcome: Interrupted, keeps: bool) -> bool:
        """Write a run that an outage has ended, once that is over."""
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

        ours = self.record(task.run, task.name, write)
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
        """It was asked to end, and has: it is kept, and not run again, whatever it raised."""
        error, traceback = outcome.error or "cancelled", outcome.traceback
        kind = outcome.kind if keeps else None
        ours = self.keep_failed(task, error, traceback, kind)
        if ours:
            events.task_cancelled(task.id, task.name, error, request)
        return ours

    def expired(self, task: Claimed) -> None:
        """It was not started in time: it is dropped."""
        events.task_expired(task.id, task.name)
        self.remove(task)

    def defer_unknown(self, task: Claimed) -> None:
        """Another deployment may know this task: leave it to that, for so long."""
        unknown_for = task.unknown_for or 0.0
        limit = self.settings.unknown_task_ttl
        if unknown_for > limit:
            text = (
                f"no worker knew the task {task.name!r} for {limit:g} s "
                "(TASKQ['UNKNOWN_TASK_TTL']): was it renamed, removed, or its app uninstalled?"
            )
            self.fail(task, text, "", UNKNOWN, executor.request_of(task))
            return
        wait = min(60.0, 1.0 + max(0.0, unknown_for) / 2)  # the database's clock may be set back
        events.task_unknown(task.id, task.name, wait)
        self.record(task.run, task.name, lambda db: db.defer(self.batch.lease, task.run, wait))

    def remove(self, task: Claimed) -> bool:
        """Write at once that nothing is left to do; whether it was ours."""
        return self._remove(task.run, task.name)

    def _remove(self, run: Run, name: str) -> bool:
        return self.record(run, name, lambda db: run[0] in db.finish(self.batch.lease, [run]))

    def record(self, run: Run, name: str, write: Callable[[TaskStore], bool]) -> bool:
        """Write an outcome; whether it was ours, and is written.

        One that the database refuses, or that touches no row though it is there, fails the task.
        """
        try:
            ours = self._insist(write)
            if not ours:
                self._look_again(run)
        except Exception as error:
            self._fail_plainly(run, name, error)
            return False
        if not ours:
            events.task_fenced(run[0], name)
        return ours

    def _insist(self, write: Callable[[TaskStore], bool]) -> bool:
        """Write, however long the database is away; whether it was ours. Raises what the
        database refuses it for.

        It cannot go on for ever: the supervisor kills us when the lease ends, or the time limit
        of the run. That does not count while the database is away.
        """
        refused = False
        while True:
            try:
                ours = write(self.session.store())
            except Exception as error:
                if concerns_all(error):
                    self.batch.forget_waiting()
                    time.sleep(self.session.lost(error))
                    self._extend_limit()
                elif passes(error):
                    time.sleep(self._refusal.came(error))
                elif refused:
                    raise
                else:
                    # Believed when a new session refuses it too.
                    refused = True
                    self.batch.forget_waiting()
                    self.session.close()
            else:
                self._refusal.over()
                return ours

    def _look_again(self, run: Run) -> None:
        """A statement touched no row. It is believed that the run is no longer ours once a look
        says so too; else RowKept is raised."""
        if self._insist(lambda db: db.holds(self.batch.lease, run)):
            raise RowKept

    def _extend_limit(self) -> None:
        if self._limit:
            self.slot.hard_deadline = clock.now() + self._limit

    def _fail_plainly(self, run: Run, name: str, error: Exception) -> None:
        """Its outcome was refused: keep that, or let go of the task, which is then charged."""
        id, _ = run
        text = plain_refusal(error)
        try:
            ours = self._insist(lambda db: db.fail_plainly(self.batch.lease, run, text))
            if not ours:
                self._look_again(run)
        except Exception as again:
            events.outcome_refused(id, name, text, again)
            self.slot.unwritten_task = id
            self.batch.forget_waiting()
            return
        if ours:
            self.slot.failed += 1
            events.outcome_unwritten(id, name, text)
        else:
            events.task_fenced(id, name)

    # What was put off

    def write_finished(self) -> None:
        if not self.batch.empty:
            self.check_untouched(self.batch.write(self.session.store()))

    def write_one_by_one(self) -> None:
        """Write what was put off one by one: together it was refused."""
        while (run := self.batch.oldest) is not None:
            self._remove(run, "a finished task")
            self.batch.forget_oldest()

    def check_untouched(self, untouched: list[Run]) -> None:
        """Of what was put off, this touched no row."""
        for run in untouched:
            self.record(run, "a finished task", lambda _: False)
