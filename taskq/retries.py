"""When a failed run is tried again."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable
from typing import NoReturn

from taskq.context import Request
from taskq.exceptions import MaxRetriesExceededError, Retry
from taskq.options import TaskOptions


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
    exc: BaseException | None = None,
    eta: datetime.datetime | None = None,
    countdown: float | datetime.timedelta | None = None,
    max_retries: int | None,
) -> NoReturn:
    """Raise Retry; or, when no retry is left, ``exc`` or MaxRetriesExceededError.

    Where the function was called directly there is no run to try again: ``exc`` or Retry.
    """
    if countdown is None:
        countdown = options.default_retry_delay if eta is None else 0.0
    error: BaseException = Retry(exc=exc, eta=eta, countdown=countdown)
    spent = max_retries is not None and request.retries >= max_retries
    if request.called_directly or spent:
        if exc is not None:
            raise exc
        if not request.called_directly:
            error = MaxRetriesExceededError(f"{request.name} was retried {request.retries} times")
    raise error


def after(
    error: BaseException, options: TaskOptions, retries: int, limit: int | None = None
) -> Retry | None:
    """The automatic retry that this error of a run is due, if any.

    limit: of retries, where the run has said one by itself; in place of the options'.
    """
    if isinstance(error, Retry):
        return error
    if not isinstance(error, options.autoretry_for) or isinstance(
        error, options.dont_autoretry_for
    ):
        return None
    if isinstance(error, MaxRetriesExceededError):  # the task gave up by itself
        return None
    if limit is None:
        limit = options.retry_kwargs.get("max_retries")
    if limit is None:
        limit = options.max_retries
    if limit is not None and retries >= limit:
        return None
    return Retry(exc=error, countdown=backoff(options, retries))
