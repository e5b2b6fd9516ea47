"""What came of a run, written: finished, retried, failed, put off; and said to who listens."""

from __future__ import annotations

import time
from collections.abc import Callable

from pool import Slot
from taskq import events, execution
from taskq.claims import Claimed
from taskq.conf import Settings
from taskq.context import Request
from taskq.exceptions import UnknownTask
from taskq.execution import Done, Failed, Fenced, Outcome, Retried
from taskq.hand import Hand
from taskq.leases import DATABASE_ERRORS, Leases
from taskq.link import Link
from taskq.pace import Pace
from taskq.progress import Progress
from taskq.registry import Definition

#: The kind of error of a task that no worker knew, among those of its result.
UNKNOWN = f"{UnknownTask.__module__}.{UnknownTask.__qualname__}"


class Recorder:
    """Writes the outcomes of one worker's runs, each under the lease of its hand."""

    def __init__(self, slot: Slot, hand: Hand, pace: Pace, link: Link, settings: Settings) -> None:
        self.slot = slot
        self.hand = hand
        self.pace = pace
        self.link = link
        self.settings = settings
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
        keeps = not definition.options.ignore_result
        if definition.options.on_lost != "fail":
            self.pace.note(task.name, seconds)
        match outcome:
            case Done(written, result):
                self.slot.done += 1
                ours = written or self.finish(task, definition, result)
                if ours:
                    events.task_succeeded(task.id, task.name, seconds, request)
                return ours
            case Retried() | Failed() if self.slot.ending:
                return self.cancelled(task, outcome, keeps, request)
            case Retried(when, delay, error, traceback, kind, exception):
                ours = self.record(
                    task,
                    lambda db: db.retry(
                        self.hand.lease,
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
            case Fenced():
                events.task_fenced(task.id, task.name)
        return False

    def finish(self, task: Claimed, definition: Definition, result: str | None) -> bool:
        """Write a success. It is put off, to be written with others and with the next claim,
        unless that may take a while, the task must never run twice, or its result is kept."""
        if result is not None:
            return self.record(task, lambda db: db.keep(self.hand.lease, task.run, result))
        once = definition.options.on_lost == "fail"
        # With nothing left to run, the next step is to claim, and this goes with it.
        if not once and (not self.hand.waiting or self.pace.is_quick(task.name)):
            self.hand.put_off(task.run)
            return True
        return self.remove(task)

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

        def write(db: Leases) -> bool:
            if (progress := self.slot.progress()) is not None:
                db.set_progress([(self.hand.lease, task.run, Progress(*progress))])
            return db.fail(self.hand.lease, task.run, error=error, traceback=traceback, kind=kind)

        return self.record(task, write)

    def cancelled(
        self, task: Claimed, outcome: Retried | Failed, keeps: bool, request: Request | None
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

    def put_off_unknown(self, task: Claimed) -> None:
        """Another deployment may know this task: leave it to that, for so long."""
        unknown_for = task.unknown_for or 0.0
        limit = self.settings.unknown_task_ttl
        if unknown_for > limit:
            text = (
                f"no worker knew the task {task.name!r} for {limit:g} s "
                "(TASKQ['UNKNOWN_TASK_TTL']): was it renamed, removed, or its app uninstalled?"
            )
            self.fail(task, text, "", UNKNOWN, execution.request_of(task))
            return
        wait = min(60.0, 1.0 + unknown_for / 2)
        events.task_unknown(task.id, task.name, wait)
        self.record(task, lambda db: db.defer(self.hand.lease, task.run, wait))

    def remove(self, task: Claimed) -> bool:
        """Write at once that nothing is left to do; whether it was ours."""
        return self.record(task, lambda db: task.id in db.finish(self.hand.lease, [task.run]))

    def record(self, task: Claimed, write: Callable[[Leases], bool]) -> bool:
        """Write an outcome, however long the database is away; whether it was ours.

        It cannot go on for ever: the supervisor kills us when the lease ends.
        """
        while True:
            try:
                ours = write(self.link.leases())
                break
            except DATABASE_ERRORS as error:
                self.hand.drop()
                time.sleep(self.link.lost(error))
        if not ours:
            events.task_fenced(task.id, task.name)
        return ours

    # What was put off

    def write_finished(self) -> None:
        if not self.hand.empty:
            self.say_fenced(self.hand.write(self.link.leases()))

    def say_fenced(self, ids: list[int]) -> None:
        for id in ids:
            events.task_fenced(id, "a finished task")
