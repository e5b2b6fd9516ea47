"""The exceptions of taskq: those that a task raises or gets, and those that a result raises."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, cast

from taskq.values import moment, seconds


class TaskqError(Exception):
    """The base of taskq's exceptions. Two have none: SoftTimeLimitExceeded, which an ``except`` for
    errors of the queue must not catch, and TaskCancelled, which is no Exception."""


class Retry(TaskqError):
    """Raised by ``task.retry()``: run this task again later.

    Args:
        message: The text of the exception.
        exc: What went wrong: an exception, its class, or a text.
        when: When to run again: seconds, or a time. Celery's word for the two below.
        eta: When to run again.
        countdown: Seconds until then; it wins over ``eta``.

    ``changes`` has what ``retry()`` changes in the call; None for nothing.

    Raises:
        TypeError: An argument is of a wrong type.
        ValueError: A time that no datetime holds, or too many seconds.
    """

    def __init__(
        self,
        message: str = "the task is to be retried",
        exc: BaseException | type[BaseException] | str | None = None,
        when: float | datetime.timedelta | datetime.datetime | None = None,
        *,
        eta: datetime.datetime | None = None,
        countdown: float | datetime.timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.exc, self.text = _exception(exc)
        self.changes: Mapping[str, Any] | None = None
        if isinstance(when, datetime.datetime):
            eta = when
        elif when is not None:
            countdown = when
        wait = 0.0 if countdown is None else seconds("countdown", countdown)
        due = None if eta is None else moment("eta", eta)
        self.countdown, self.eta = max(0.0, wait), None if wait else due

    @property
    def when(self) -> float | datetime.datetime:
        """When to run again: a time, or seconds."""
        return self.countdown if self.eta is None else self.eta

    def humanize(self) -> str:
        """When to run again, as a text."""
        return f"in {self.countdown}s" if self.eta is None else f"at {self.eta}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.exc or self.text or None, self.when)


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


class Ignore(TaskqError):
    """Raised in a task: end this run, and keep nothing of the task. It neither succeeds nor fails.

    If the run has called ``update_state(state="FAILURE")`` before, the task fails instead, with the
    ``meta`` as its error. That is Celery's way to fail without an exception.
    """


class Reject(Ignore):
    """Raised in a task: as :class:`Ignore`, or with ``requeue=True`` run the task again.

    Args:
        reason: What the log says.
        requeue: Run the task again in a second. It counts as a retry, and no ``max_retries`` ends
            it.
    """

    def __init__(self, reason: object = None, requeue: bool = False) -> None:
        super().__init__(reason, requeue)
        self.reason, self.requeue = reason, requeue

    def __repr__(self) -> str:
        return f"reject requeue={self.requeue}: {self.reason}"


class MaxRetriesExceededError(TaskqError):
    """The task has used all its retries. ``task_args`` and ``task_kwargs`` are those of its run."""

    def __init__(
        self,
        *args: object,
        task_args: Sequence[Any] = (),
        task_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(*args)
        self.task_args, self.task_kwargs = task_args, task_kwargs or {}


class SoftTimeLimitExceeded(Exception):
    """Raised in a task that has run past its soft time limit, so that it can clean up."""


class TaskCancelled(KeyboardInterrupt):
    """Raised in a running task that is cancelled, so that it can clean up.

    It is no Exception, so an ``except Exception`` around a loop's body does not catch it.
    ``finally`` and ``with`` work as usual. Code that catches it must raise it again.

    It is a KeyboardInterrupt, so libraries treat it like Ctrl-C: psycopg asks the server to
    cancel the running statement.
    """


class WorkerLost(TaskqError):
    """The error of a run that lost its worker, in a result. No run raises it; what ``get()`` raises
    may be of this class."""


class UnknownTask(TaskqError, KeyError):
    """No task is registered by this name. ``send_task()`` raises it. In a result it is the error of
    a task that no worker knew."""

    def __str__(self) -> str:  # KeyError would show the repr of its text
        return str(self.args[0]) if self.args else ""


class TaskFailed(TaskqError):
    """Raised by ``AsyncResult.get()`` for a task that failed. If the task keeps its results, what
    is raised is of the class of its error too.

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


class IncompleteStream(TaskqError):
    """Raised by ``iterdeps()`` of a result that is not ready yet."""


class NoStack(TaskqError):
    """Raised by :mod:`taskq.stacks`: there is no stack to show. The text says why."""


class NoResult(TaskqError, LookupError):
    """Neither the task nor a result of it exists."""
