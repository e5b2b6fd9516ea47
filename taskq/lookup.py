"""What is known of a task that was sent: from its row, or from the result that it left."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass

from django.db import router

from taskq.exceptions import WorkerLost
from taskq.models import Result, State, Task
from taskq.task.progress import Progress
from taskq.values import stored_moment

LOST = f"{WorkerLost.__module__}.{WorkerLost.__qualname__}"


@dataclass(frozen=True)
class Attempt:
    """A run that came to nothing. kind: the path of its error's class."""

    worker: str
    kind: str
    traceback: str
    started_at: datetime.datetime | None


@dataclass(frozen=True, kw_only=True)
class Known:
    """A task and how it fares.

    state: of its row; None when it is done, and ``value`` is what it returned, encoded. One that
        this version does not know is READY, for it is not over, and nobody here runs it.
    attempts: the runs that came to nothing, oldest first.
    worker: who runs it, or ran it to its end. started_at: when that run was claimed.
    finished_at: when it was done, or failed.
    cancelled: somebody asked for it to end while it ran. progress: what the last run said.
    run_after: the time that it was sent for, if one was given.
    retries: of what is done, as many as its history has runs that raised.
    """

    id: int
    name: str
    payload: str
    queue: str
    priority: int
    state: State | None
    created_at: datetime.datetime
    run_after: datetime.datetime | None = None
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    worker: str | None
    attempts: list[Attempt]
    retries: int = 0
    error: str = ""
    traceback: str = ""
    value: str | None = None
    cancelled: bool = False
    progress: Progress | None = None


def look_up(id: int, using: str | None = None) -> Known | None:
    """What is known of the task with this primary key; None when there is neither a task
    nor a result.

    using: the database alias; by default where the router sends writes of ``Task``.
    """
    # The row first: it may become a result between the two, but no result becomes a row.
    alias = using or router.db_for_write(Task)
    task = Task.objects.using(alias).filter(pk=id).select_related("worker").first()
    if task is not None:
        worker = task.worker
        return Known(
            id=id,
            name=task.name,
            payload=task.payload,
            queue=task.queue,
            priority=task.priority,
            state=State(task.state) if task.state in State.values else State.READY,
            created_at=task.created_at,
            run_after=task.run_after,
            started_at=task.started_at,
            finished_at=task.failed_at,
            worker=f"{worker.pool}/{worker.name}/{worker.pk}" if worker else None,
            attempts=attempts(task.history),
            retries=task.retries,
            error=task.error,
            traceback=task.traceback,
            cancelled=task.cancelled_at is not None,
            progress=Progress.read(task.progress, task.attempt),
        )
    result = Result.objects.using(alias).filter(pk=id).first()
    if result is None:
        return None
    runs = attempts(result.history)
    return Known(
        id=id,
        name=result.name,
        payload=result.payload,
        queue=result.queue,
        priority=result.priority,
        state=None,
        created_at=result.created_at,
        run_after=result.run_after,
        started_at=result.started_at,
        finished_at=result.finished_at,
        worker=result.worker,
        attempts=runs,
        retries=sum(run.kind != LOST for run in runs),
        value=result.value,
    )


def attempts(history: str | None) -> list[Attempt]:
    """The runs in a history, as the statements wrote them: a line of JSON each."""
    if not history:
        return []
    # Not splitlines(): there are line ends that JSON leaves as they are.
    return [_attempt(line) for line in history.split("\n")]


def _attempt(line: str) -> Attempt:
    try:
        run = json.loads(line)
        started = None if run["started_at"] is None else stored_moment(run["started_at"])
        return Attempt(str(run["worker"]), str(run["error"]), str(run["traceback"]), started)
    except (ValueError, TypeError, LookupError, RecursionError, AttributeError):
        return Attempt("", "", line, None)  # somebody wrote the column by hand
