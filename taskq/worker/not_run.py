"""Tasks that were claimed and are not run: they have expired, or no code here knows their name."""

from __future__ import annotations

from taskq import events
from taskq.exceptions import UnknownTask
from taskq.store import endings
from taskq.task.claimed import Claimed
from taskq.worker.executor import request_of
from taskq.worker.recorder import Recorder

#: The kind of error of a task that no worker knew, as its result shows it.
UNKNOWN = f"{UnknownTask.__module__}.{UnknownTask.__qualname__}"


class NotRun:
    """Writes what becomes of them, beside the recorder of the runs.

    unknown_task_ttl: seconds after which a task fails that no worker has known.
    """

    def __init__(self, recorder: Recorder, *, unknown_task_ttl: float) -> None:
        self.recorder = recorder
        self.batch = recorder.batch
        self.writer = recorder.writer
        self._unknown_task_ttl = unknown_task_ttl

    def expired(self, task: Claimed) -> None:
        """Remove a task that was not started in time."""
        events.task_expired(task.id, task.name)
        if task.step is not None:
            self.batch.note_stopped(task.id)
        self.writer.end(endings.finish(task.run), task.name)

    def defer_unknown(self, task: Claimed) -> None:
        """Leave the task to workers that may know it, until its time is over."""
        unknown_for = task.unknown_for or 0.0
        limit = self._unknown_task_ttl
        if unknown_for > limit:
            text = (
                f"no worker knew the task {task.name!r} for {limit:g} s "
                "(TASKQ['UNKNOWN_TASK_TTL']): was it renamed, removed, or its app uninstalled?"
            )
            self.recorder.fail(task, text, UNKNOWN, request_of(task))
            if task.step is not None:
                self.batch.note_stopped(task.id)
            return
        wait = min(60.0, 1.0 + max(0.0, unknown_for) / 2)  # the database's clock may be set back
        events.task_unknown(task.id, task.name, wait)
        self.writer.write(
            task.run, task.name, lambda db: db.defer(self.batch.lease, task.run, wait)
        )
