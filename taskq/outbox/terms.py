"""The terms of a call, as columns: where and when its task runs, and its headers."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypedDict

from taskq import conf, limits
from taskq.outbox.calls import are_keywords
from taskq.task.options import TaskOptions
from taskq.values import check_priority, check_queue, moment, seconds


class Terms(TypedDict, total=False):
    """Where and when a task runs. Each term may be left out or None.

    queue, priority: in place of the task's own.
    countdown: seconds from now, by the database's clock. A number below 0 means now.
    eta: a moment; a naive one is in Django's current time zone. If both are given, the
        countdown counts.
    expires: seconds from now, or a moment. A task that has not started by then is dropped.
    headers: values beside the arguments, a dict with keys of str. Each run has them as
        ``request.headers``. Their size counts into MAX_PAYLOAD.
    """

    queue: str | None
    priority: int | None
    countdown: float | datetime.timedelta | None
    eta: datetime.datetime | None
    expires: float | datetime.timedelta | datetime.datetime | None
    headers: Mapping[str, Any] | None


def columns(
    options: TaskOptions,
    *,
    queue: str | None = None,
    priority: int | None = None,
    countdown: float | datetime.timedelta | None = None,
    eta: datetime.datetime | None = None,
    expires: float | datetime.timedelta | datetime.datetime | None = None,
    headers: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The columns of a row that a task's options and its terms decide. The headers are checked
    here too, but they are stored with the arguments."""
    if headers is not None and not are_keywords(headers):
        raise TypeError(f"headers is {headers!r}: give a dict with keys of str, or None")
    if queue is not None:
        check_queue(queue)
    if priority is not None:
        check_priority(priority)
    if eta is not None:
        eta = moment("eta", eta)
    delay = 0.0 if countdown is None else seconds("countdown", countdown)
    lifetime, last_moment = None, None
    if isinstance(expires, datetime.datetime):
        last_moment = moment("expires", expires)
    elif expires is not None:
        lifetime = seconds("expires", expires, also="a datetime, a timedelta or ")
    return {
        "queue": queue or options.queue or limits.DEFAULT_QUEUE,
        "priority": options.priority if priority is None else priority,
        "max_losses": 0 if options.on_lost == "fail" else conf.settings().max_losses,
        "eta": None if delay else eta,
        "delay": max(0.0, delay),
        "expires": last_moment,
        "lifetime": lifetime,
    }
