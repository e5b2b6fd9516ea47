"""Telling of the end of a run: the hooks of its task and Celery's signals, in Celery's order.

What a hook raises is logged and harms nothing: the end is written by then.
"""

from __future__ import annotations

import logging
from typing import Any

from taskq.celery import signals, states, task_hooks
from taskq.celery.exception_info import ExceptionInfo
from taskq.exceptions import Retry
from taskq.task.request import Request

log = logging.getLogger("taskq")


def started(task: Any, request: Request) -> None:
    """The function is about to be called."""
    if signals.task_prerun.receivers:
        signals.task_prerun.send(
            task, task_id=request.id, task=task, args=request.args, kwargs=request.kwargs
        )


def succeeded(task: Any, request: Request, value: Any, seconds: float | None) -> None:
    """The function returned a value, after so many seconds."""
    _call(task, "on_success", value, request.id, request.args, request.kwargs)
    if signals.task_success.receivers:
        signals.task_success.send(task, result=value, runtime=seconds)
    _call(
        task,
        "after_return",
        states.SUCCESS,
        value,
        request.id,
        request.args,
        request.kwargs,
        None,
    )
    _ended(task, request, states.SUCCESS, value)


def failed(
    task: Any, request: Request, error: BaseException | None, traceback: str, text: str = ""
) -> None:
    """The task failed for good. error: None where only its text is known."""
    shown = error if error is not None else Exception(text)
    info = ExceptionInfo(error, traceback)
    call = request.id, request.args, request.kwargs
    _call(task, "on_failure", shown, *call, info)
    if signals.task_failure.receivers:
        signals.task_failure.send(
            task,
            task_id=request.id,
            exception=shown,
            args=request.args,
            kwargs=request.kwargs,
            traceback=shown.__traceback__,
            einfo=info,
        )
    _call(task, "after_return", states.FAILURE, shown, *call, info)
    _ended(task, request, states.FAILURE, shown)


def retried(task: Any, request: Request, error: BaseException | None, traceback: str) -> None:
    """The task will run again, because of an error if there is one."""
    info = ExceptionInfo(error, traceback)
    reason = Retry(exc=error)
    _call(task, "on_retry", error, request.id, request.args, request.kwargs, info)
    if signals.task_retry.receivers:
        signals.task_retry.send(task, request=request, reason=reason, einfo=info)
    _ended(task, request, states.RETRY, reason)


def ignored(task: Any, request: Request) -> None:
    """The task asked to be ignored."""
    _ended(task, request, states.IGNORED, None)


def revoked(task: Any, request: Request | None, text: str) -> None:
    """The task was cancelled, and its run has ended."""
    if signals.task_revoked.receivers:
        signals.task_revoked.send(
            task, request=request, terminated=True, signum=None, expired=False
        )
    if request is not None:
        _ended(task, request, states.REVOKED, None)


def _ended(task: Any, request: Request, state: str, value: Any) -> None:
    if signals.task_postrun.receivers:
        signals.task_postrun.send(
            task,
            task_id=request.id,
            task=task,
            args=request.args,
            kwargs=request.kwargs,
            retval=value,
            state=state,
        )


def _call(task: Any, name: str, *args: Any) -> None:
    if not isinstance(task, task_hooks.TaskHooks) or not task_hooks.has(task, name):
        return
    try:
        getattr(task, name)(*args)
    except Exception:
        log.exception("%s of %s failed; the outcome of the task stays", name, task)
