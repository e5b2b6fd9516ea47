"""What is known of a task that was sent: from its row, its result, or the finished tasks."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from django.db import router

from taskq import lazy_models
from taskq.exceptions import WorkerLost
from taskq.task.own_state import OwnState
from taskq.task.progress import Progress
from taskq.task.states import State
from taskq.values import stored_moment

#: How many tasks one query looks for.
MANY = 500

LOST = f"{WorkerLost.__module__}.{WorkerLost.__qualname__}"


@dataclass(frozen=True)
class Attempt:
    """A run that came to nothing.

    Attributes:
        worker: The worker that ran it.
        kind: The path of the class of its error.
        traceback: Its traceback, as text.
        started_at: When it was claimed.
    """

    worker: str
    kind: str
    traceback: str
    started_at: datetime.datetime | None


@dataclass(frozen=True, kw_only=True)
class Known:
    """A task and its current state.

    Attributes:
        id: The primary key of its row.
        name: The name of the task.
        payload: Its arguments and headers, encoded.
        queue: Where it waits or waited.
        priority: -100 to 100, higher is sooner.
        state: The state of its row; None when it is done. A state that this version does not know
            is READY: the task is not over, and no worker of this version runs it.
        created_at: When it was sent.
        run_after: The time that it was sent for, if one was given.
        started_at: When its last run was claimed.
        finished_at: When it was done, or failed.
        worker: The worker that runs it, or ran it to its end.
        attempts: The runs that came to nothing, oldest first.
        retries: How many times it was retried. Of a task that is done: how many of its runs raised.
        error: The error of the last run that came to nothing.
        traceback: The traceback of that run.
        value: What it returned, encoded.
        cancelled: Whether somebody cancelled it while it ran.
        progress: How far its last run is, as that said.
        own_state: The state that the run in progress gave itself.
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
    own_state: OwnState | None = None


def look_up(id: int, using: str | None = None) -> Known | None:
    """Look up the task with this primary key.

    Args:
        id: The primary key: ``AsyncResult.id.int``.
        using: The alias of the database. By default the router decides.

    Returns:
        What is known of it; None when there is neither a task nor a result, nor a finished task
        that is kept.
    """
    return look_up_many([id], using).get(id)


def look_up_many(ids: Iterable[int], using: str | None = None) -> dict[int, Known]:
    """:func:`look_up` for many tasks, by three queries for each ``MANY`` of them. What is not known
    is left out."""
    alias = using or router.db_for_write(lazy_models.Task)
    left = iter(ids)
    found: dict[int, Known] = {}
    while some := set(islice(left, MANY)):
        # The row first: between two looks it may become one of the others, and never the other way.
        # The result before the finished task: one look-up there asks each partition.
        tasks = lazy_models.Task.objects.using(alias).filter(pk__in=some).select_related("worker")
        found.update((task.pk, of_row(task)) for task in tasks)
        if some := some - found.keys():
            results = lazy_models.Result.objects.using(alias).filter(pk__in=some)
            found.update((result.pk, _of_result(result)) for result in results)
        if some := some - found.keys():
            kept = (
                lazy_models.FinishedTask.objects.using(alias)
                .filter(pk__in=some)
                .order_by("finished_at")
            )
            found.update((result.pk, _of_result(result)) for result in kept)
    return found


def of_row(task: lazy_models.Task) -> Known:
    """What the row of a task says, read with its worker."""
    worker = task.worker
    return Known(
        id=task.pk,
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
        own_state=OwnState.read(task.own_state, task.attempt, task.name),
    )


def _of_result(result: lazy_models.Result | lazy_models.FinishedTask) -> Known:
    runs = attempts(result.history)
    return Known(
        id=result.pk,
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
    """The runs in a history, one line of JSON each, as the SQL statements write them."""
    if not history:
        return []
    # Not splitlines(): JSON does not escape some of the line ends that it splits at.
    return [_attempt(line) for line in history.split("\n")]


def _attempt(line: str) -> Attempt:
    try:
        run = json.loads(line)
        started = None if run["started_at"] is None else stored_moment(run["started_at"])
        return Attempt(str(run["worker"]), str(run["error"]), str(run["traceback"]), started)
    except (ValueError, TypeError, LookupError, RecursionError, AttributeError):
        return Attempt("", "", line, None)  # the column was written by hand
