"""Django's ``TaskResult`` of a task, and the signals that a worker sends for it."""

from __future__ import annotations

import dataclasses
import datetime
import logging
import sys
from collections.abc import Sequence
from typing import Any

from django.dispatch import Signal
from django.utils import timezone

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
from taskq.django.listeners import is_heard, others_hear
from taskq.lookup import Attempt, Known, attempts
from taskq.models import State
from taskq.signals import tell
from taskq.task import masking, payload
from taskq.task.claimed import Claimed
from taskq.task.ids import TaskId
from taskq.task.outcomes import Done, Failed, Outcome
from taskq.task.request import Request
from taskq.values import stored_moment

log = logging.getLogger("taskq")

_STATUS = {
    State.READY: TaskResultStatus.READY,
    State.BLOCKED: TaskResultStatus.READY,
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


class MaskedError(Exception):
    """Stands for the error of a task with sensitive arguments. Its text is the error's, masked."""


class Run:
    """One run of a task of Django's, in the worker. See :class:`taskq.task.hooks.RunHooks`.

    The TaskResult is made of what the claim has brought, and only for a context or a receiver.
    """

    def __init__(self, task: Task[..., Any], claimed: Claimed, worker: str) -> None:
        self._task = task
        self._claimed = claimed
        self._worker = worker
        self._result: TaskResult[..., Any] | None = None

    @property
    def heard(self) -> bool:
        return others_hear(task_finished)

    def first(self) -> Sequence[object]:
        if not self._task.takes_context or self._make() is None:
            return ()
        assert self._result is not None
        return (TaskqContext(task_result=self._result),)

    def started(self) -> None:
        if is_heard(task_started, logging.INFO) and self._make():
            self._tell(task_started)

    def finished(self, outcome: Outcome, request: Request, seconds: float) -> None:
        match outcome:
            case Done(result=str(encoded)):
                if is_heard(task_finished, logging.INFO) and (result := self._make()):
                    value = payload.decode_result(encoded, self._claimed.name)
                    fill(result, status=TaskResultStatus.SUCCESSFUL, _return_value=value)
                    self._tell_finished(result)
            case Failed(error=text, traceback=traceback, kind=kind, exception=error):
                if is_heard(task_finished, logging.ERROR) and (result := self._make()):
                    result.errors.append(TaskError(exception_class_path=kind, traceback=traceback))
                    fill(result, status=TaskResultStatus.FAILED)
                    # Django's log shows the text of the error that it finds.
                    hidden = masking.is_sensitive(self._claimed.name)
                    self._tell_finished(result, MaskedError(text) if hidden else error)
            case _:
                pass  # the task will run again

    def _tell_finished(
        self, result: TaskResult[..., Any], error: BaseException | None = None
    ) -> None:
        fill(result, finished_at=timezone.now())
        self._tell(task_finished, error)

    def _tell(self, signal: Signal, error: BaseException | None = None) -> None:
        """Send a signal. An error is raised and handled around it, as in Django's own backends.
        So sys.exc_info() has the error, and Django's log has the traceback."""
        sender = type(self._task.get_backend())
        if error is None:
            tell(signal, sender, task_result=self._result)
            return
        try:
            raise error
        except BaseException:
            here = sys.exc_info()[2]
            # Remove this frame from the traceback, without calling a method of the error's class.
            BaseException.with_traceback(error, here and here.tb_next)
            tell(signal, sender, task_result=self._result)

    def _make(self) -> TaskResult[..., Any] | None:
        """The result of this run; None where the arguments cannot be read. The run fails for the
        same reason."""
        if self._result is None:
            try:
                self._result = self._running()
            except Exception:
                log.exception("%s #%d has no TaskResult", self._claimed.name, self._claimed.id)
        return self._result

    def _running(self) -> TaskResult[..., Any]:
        claimed = self._claimed
        now = timezone.now()
        known = Known(
            id=claimed.id,
            name=claimed.name,
            payload=claimed.payload,
            queue=claimed.queue,
            priority=self._task.priority if claimed.priority is None else claimed.priority,
            state=State.RUNNING,
            created_at=_moment(claimed.created_at) or now,
            run_after=_moment(claimed.run_after),
            started_at=_moment(claimed.started_at) or now,
            finished_at=None,
            worker=self._worker,
            attempts=attempts(claimed.history),
        )
        return task_result(known, self._task, self._task.backend)


def _moment(text: str | None) -> datetime.datetime | None:
    """A time of the claim's. None also for one that no datetime holds."""
    try:
        return None if text is None else stored_moment(text)
    except ValueError:
        return None
