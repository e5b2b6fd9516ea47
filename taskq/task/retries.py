"""When a failed run is tried again."""

from __future__ import annotations

import datetime
import random
import sys
from collections.abc import Callable, Mapping
from typing import Any, cast

from taskq.exceptions import MaxRetriesExceededError, Retry
from taskq.task.options import TaskOptions
from taskq.task.request import Request


def backoff(options: TaskOptions, retries: int, rand: Callable[[], float] = random.random) -> float:
    """Seconds until the next automatic retry, after ``retries`` earlier ones."""
    if not options.retry_backoff:
        countdown: float | None = options.retry_kwargs.get("countdown")
        return options.default_retry_delay if countdown is None else countdown
    # The exponent is capped: a float overflows after 1,000 retries.
    delay = min(options.retry_backoff_max, options.retry_backoff * float(2 ** min(retries, 60)))
    return delay * rand() if options.retry_jitter else delay


def retry(
    options: TaskOptions,
    request: Request,
    *,
    exc: BaseException | type[BaseException] | str | None = None,
    eta: datetime.datetime | None = None,
    countdown: float | datetime.timedelta | None = None,
    max_retries: int | None,
    throw: bool = True,
    changes: Mapping[str, Any] | None = None,
) -> Retry:
    """Raise Retry, or return it if ``throw`` is False.

    changes: of the call: see :class:`taskq.exceptions.Retry`.

    When no retry is left it raises ``exc``, or MaxRetriesExceededError where none was given. A
    function that was called directly has no run to repeat: then it raises ``exc`` or Retry.
    """
    if countdown is None:
        countdown = options.default_retry_delay if eta is None else 0.0
    again = Retry(exc=exc, eta=eta, countdown=countdown)
    if request.called_directly:
        raise again if again.exc is None else again.exc
    if max_retries is not None and request.retries >= max_retries:
        raise given_up(again, request)
    again.changes = changes
    request.asked_retry = again
    if throw:
        raise again
    again.__context__ = sys.exc_info()[1]  # as ``raise`` would set it
    return again


def given_up(error: BaseException, request: Request) -> BaseException:
    """The error with which a run ends that is not retried. For a Retry this is its cause."""
    if not issubclass(type(error), Retry):
        return error
    again = cast(Retry, error)
    if again.exc is not None:
        return again.exc
    text = f"{request.name} was retried {request.retries} times"
    return MaxRetriesExceededError(
        f"{text}: {again.text}" if again.text else text,
        task_args=request.args or (),
        task_kwargs=request.kwargs,
    )


def after(
    error: BaseException, options: TaskOptions, retries: int, limit: int | None = None
) -> Retry | None:
    """The retry that follows on this error of a run, if any: the error itself, or an automatic one.

    limit: the largest number of retries that the run itself has named, in place of the options'.
    """
    # The type decides, as in an except clause: isinstance() would ask the error for its class.
    raised = type(error)
    if issubclass(raised, Retry):
        own = options.max_retries if limit is None else limit
        return None if own is not None and retries >= own else cast(Retry, error)
    if not issubclass(raised, options.autoretry_for) or issubclass(
        raised, options.dont_autoretry_for
    ):
        return None
    if issubclass(raised, MaxRetriesExceededError):  # the task itself has given up
        return None
    if limit is None:
        limit = options.retry_kwargs.get("max_retries")
    if limit is None:
        limit = options.max_retries
    if limit is not None and retries >= limit:
        return None
    return Retry(exc=error, countdown=backoff(options, retries))
