"""Django's ``TaskResult`` of a task, and the signals that a worker sends for it."""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Sequence
from typing import Any

from django.dispatch import Signal
from django.utils import timezone

from taskq.database_errors import DATABASE_ERRORS
from taskq.django.compat import (
    InvalidTask,
    Task,
    TaskError,
    TaskResult,
    TaskResultStatus,
    task_finished,
    task_started,
)
from taskq.django.context import TaskqContext
from taskq.lookup import Attempt, Known, look_up
from taskq.models import State
from taskq.signals import tell
from taskq.task import payload
from taskq.task.claimed import Claimed
from taskq.task.ids import TaskId
from taskq.task.outcomes import Done, Failed, Outcome

log = logging.getLogger("taskq")

_STATUS = {
    State.READY: TaskResultStatus.READY,
    State.RUNNING: TaskResultStatus.RUNNING,
    State.FAILED: TaskResultStatus.FAILED,
    None: TaskResultStatus.SUCCESSFUL,
}


def task_result(known: Known, task: Task[..., Any], backend: str) -> TaskResult[..., Any]:
    """What is known of a task, as Django's class.

    task: the task as it was defined. The result's task has the queue, priority and time of
        the call.
    backend: the alias of the backend that a refresh of the result asks.

    Raises PayloadError for arguments, or a result, that cannot be read.
    """
    args, kwargs = payload.decode(known.payload, known.name)
    runs = list(known.attempts)
    if known.worker is not None and known.state is not State.FAILED:  # else the attempts name it
        runs.append(Attempt(known.worker, "", "", known.started_at))
    starts = [run.started_at for run in runs if run.started_at is not None]
    result: TaskResult[..., Any] = TaskResult(
        task=_as_sent(task, known, backend),
        id=TaskId.of(known.id),
        status=_STATUS[known.state],
        enqueued_at=known.created_at,
        started_at=starts[0] if starts else None,
        last_attempted_at=starts[-1] if starts else None,
        finished_at=known.finished_at,
        args=args,
        kwargs=kwargs,
        backend=backend,
        errors=[
            TaskError(exception_class_path=each.kind, traceback=each.traceback)
            for each in known.attempts
        ],
        worker_ids=[run.worker for run in runs],
    )
    if known.value is not None:
        fill(result, _return_value=payload.decode_result(known.value, known.name))
    return result


def _as_sent(task: Task[..., Any], known: Known, backend: str) -> Task[..., Any]:
    sent: dict[str, Any] = {
        "queue_name": known.queue,
        "priority": known.priority,
        "run_after": known.run_after,
        "backend": backend,
    }
    if all(getattr(task, name) == value for name, value in sent.items()):
        return task
    try:
        return dataclasses.replace(task, **sent)
    except InvalidTask:  # the backend no longer has that queue
        return task


def fill(result: TaskResult[..., Any], **values: object) -> None:
    """Set fields of a frozen result. Django's own backends set them this way too."""
    for name, value in values.items():
        object.__setattr__(result, name, value)


class Run:
    """One run of a task of Django's, in the worker. See :class:`taskq.task.hooks.RunHooks`."""

    def __init__(self, task: Task[..., Any], claimed: Claimed, worker: str, alias: str) -> None:
        self._task = task
        self._claimed = claimed
        self._worker = worker
        self._alias = alias
        self._sender = type(task.get_backend())
        self._result: TaskResult[..., Any] | None = None

    def first(self) -> Sequence[object]:
        if self._task.takes_context and self._result is not None:
            return (TaskqContext(task_result=self._result),)
        return ()

    def started(self) -> None:
        try:
            self._result = self._running()
        except Exception:  # the arguments cannot be read; the run will fail for the same reason
            log.exception("%s #%d has no TaskResult", self._claimed.name, self._claimed.id)
        else:
            self._tell(task_started)

    def finished(self, outcome: Outcome) -> None:
        if self._result is None:
            return
        error: BaseException | None = None
        match outcome:
            case Done(result=str(encoded)):
                value = payload.decode_result(encoded, self._claimed.name)
                fill(self._result, status=TaskResultStatus.SUCCESSFUL, _return_value=value)
            case Failed(traceback=traceback, kind=kind, exception=error):
                self._result.errors.append(
                    TaskError(exception_class_path=kind, traceback=traceback)
                )
                fill(self._result, status=TaskResultStatus.FAILED)
            case _:
                return  # the task will run again
        fill(self._result, finished_at=timezone.now())
        self._tell(task_finished, error)

    def _tell(self, signal: Signal, error: BaseException | None = None) -> None:
        """Send a signal. An error is raised and handled around it, as in Django's own backends.
        So sys.exc_info() has the error, and Django's log has the traceback."""
        if error is None:
            tell(signal, self._sender, task_result=self._result)
            return
        try:
            raise error
        except BaseException:
            here = sys.exc_info()[2]
            # Remove this frame from the traceback, without calling a method of the error's class.
            BaseException.with_traceback(error, here and here.tb_next)
            tell(signal, self._sender, task_result=self._result)

    def _running(self) -> TaskResult[..., Any]:
        claimed = self._claimed
        try:
            known = look_up(claimed.id, self._alias)
        except DATABASE_ERRORS:
            log.exception("%s #%d could not be looked up", claimed.name, claimed.id)
            known = None
        if known is not None and known.worker == self._worker:
            return task_result(known, self._task, self._task.backend)
        # The database or the lease is gone: only the claim's own data is left.
        now = timezone.now()
        known = Known(
            id=claimed.id,
            name=claimed.name,
            payload=claimed.payload,
            queue=claimed.queue,
            priority=self._task.priority,
            state=State.RUNNING,
            created_at=now,
            started_at=now,
            finished_at=None,
            worker=self._worker,
            attempts=[],
        )
        result = task_result(known, self._task, self._task.backend)
        result.worker_ids[:0] = ["unknown"] * (claimed.retries + claimed.losses)
        return result
