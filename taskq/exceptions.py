"""What a task may raise or be hit by."""

from __future__ import annotations

import datetime
from typing import cast

from taskq.values import moment, seconds


class Retry(Exception):
    """Raised by ``task.retry()``: run this task again later.

    Args:
        message: The text of the exception.
        exc: What went wrong: an exception, its class, or a text.
        eta: When to run again.
        countdown: Seconds until then; it wins over ``eta``.

    Raises:
        TypeError: An argument is of a wrong type.
        ValueError: A time that no datetime holds, or too many seconds.
    """

    def __init__(
        self,
        message: str = "the task is to be retried",
        *,
        exc: BaseException | type[BaseException] | str | None = None,
        eta: datetime.datetime | None = None,
        countdown: float | datetime.timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.exc, self.text = _exception(exc)
        wait = 0.0 if countdown is None else seconds("countdown", countdown)
        when = None if eta is None else moment("eta", eta)
        self.countdown, self.eta = max(0.0, wait), None if wait else when


def _exception(given: object) -> tuple[BaseException | None, str]:
    """What was given as the cause of a retry, as ``raise`` takes it; else as text."""
    if given is None:
        return None, ""
    if issubclass(type(given), BaseException):
        return cast(BaseException, given), ""
    if issubclass(type(given), str):
        return None, str.__str__(cast(str, given))
    if isinstance(given, type) and issubclass(given, BaseException):
        try:
            return given(), ""
        except Exception as error:  # it takes arguments
            return error, ""
    raise TypeError(f"exc is {given!r}: give an exception, its class, or a text")


class MaxRetriesExceededError(Exception):
    """The task was retried as often as it may be."""


class SoftTimeLimitExceeded(Exception):
    """Raised in a task that ran past its soft time limit, so that it can clean up."""


class TaskCancelled(KeyboardInterrupt):
    """Raised in a running task that is cancelled, so that it can clean up.

    It is no Exception, so the ``except Exception`` of a loop that carries on whatever
    happens does not swallow it; ``finally`` and ``with`` see it. Who catches it raises it
    again. As a KeyboardInterrupt it means to libraries what Ctrl-C does: psycopg has the
    server cancel the statement that runs.
    """


class WorkerLost(Exception):
    """Among the errors of a result: that run lost its worker. It is raised nowhere."""


class UnknownTask(Exception):
    """Among the errors of a result: no worker knew the task. It is raised nowhere."""


class TaskFailed(Exception):
    """Raised by ``AsyncResult.get()`` for a task that failed.

    The message is the error's class and text; ``traceback`` is its traceback, as text.
    """

    def __init__(self, error: str, traceback: str = "") -> None:
        super().__init__(error)
        self.traceback = traceback


class TaskRevokedError(TaskFailed):
    """Raised by ``AsyncResult.get()`` for a task that was cancelled while it ran."""


class NoResult(LookupError):
    """There is no such task and no result of one."""
