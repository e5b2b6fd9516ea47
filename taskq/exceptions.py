"""The exceptions of taskq: those that a task raises or gets, and those that a result raises."""

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
    """The exception and the text of a retry's cause. A text gives no exception."""
    if given is None:
        return None, ""
    if issubclass(type(given), BaseException):
        return cast(BaseException, given), ""
    if issubclass(type(given), str):
        return None, str.__str__(cast(str, given))
    if isinstance(given, type) and issubclass(given, BaseException):
        try:
            return given(), ""
        except Exception as error:  # the class needs arguments
            return error, ""
    raise TypeError(f"exc is {given!r}: give an exception, its class, or a text")


class MaxRetriesExceededError(Exception):
    """The task has used all its retries."""


class SoftTimeLimitExceeded(Exception):
    """Raised in a task that has run past its soft time limit, so that it can clean up."""


class TaskCancelled(KeyboardInterrupt):
    """Raised in a running task that is cancelled, so that it can clean up.

    It is no Exception, so an ``except Exception`` around a loop's body does not catch it.
    ``finally`` and ``with`` work as usual. Code that catches it must raise it again.

    It is a KeyboardInterrupt, so libraries treat it like Ctrl-C: psycopg asks the server to
    cancel the running statement.
    """


class WorkerLost(Exception):
    """The error of a run that lost its worker, in a result. It is never raised."""


class UnknownTask(Exception):
    """The error of a task that no worker knew, in a result. It is never raised."""


class TaskFailed(Exception):
    """Raised by ``AsyncResult.get()`` for a task that failed.

    The message is the class and text of the task's error. ``traceback`` is its traceback, as text.
    """

    def __init__(self, error: str, traceback: str = "") -> None:
        super().__init__(error)
        self.traceback = traceback


class TaskRevokedError(TaskFailed):
    """Raised by ``AsyncResult.get()`` for a task that was cancelled while it ran."""


class ChordError(TaskFailed):
    """Raised by ``get()`` of a chord's body when a part of its header failed. The message names
    that part."""


class IncompleteStream(Exception):
    """Raised by ``iterdeps()`` of a result that is not ready yet."""


class NoStack(Exception):
    """Raised by :mod:`taskq.stacks`: there is no stack to show. The text says why."""


class NoResult(LookupError):
    """Neither the task nor a result of it exists."""
