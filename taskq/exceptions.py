"""What a task may raise or be hit by."""

from __future__ import annotations

import datetime


class Retry(Exception):
    """Raised by ``task.retry()``: run this task again later.

    exc: what went wrong, for the record. eta: a time, or countdown: seconds from now.
    """

    def __init__(
        self,
        message: str = "the task is to be retried",
        *,
        exc: BaseException | None = None,
        eta: datetime.datetime | None = None,
        countdown: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.exc = exc
        self.eta = eta
        self.countdown = countdown


class MaxRetriesExceededError(Exception):
    """The task was retried as often as it may be."""


class SoftTimeLimitExceeded(Exception):
    """Raised in a task that ran past its soft time limit, so that it can clean up."""


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


class NoResult(LookupError):
    """There is no such task and no result of one."""
