"""The one way in: a task becomes a row, in the caller's own transaction."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connections, router
from django.utils import timezone

from taskq import conf, payload, sql
from taskq.conf import MAX_SECONDS
from taskq.models import Task
from taskq.options import TaskOptions, check_priority, check_seconds
from taskq.queues import check_queue


def enqueue(
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: TaskOptions,
    *,
    queue: str | None = None,
    priority: int | None = None,
    countdown: float | datetime.timedelta | None = None,
    eta: datetime.datetime | None = None,
    expires: float | datetime.timedelta | datetime.datetime | None = None,
    using: str | None = None,
) -> int:
    """Write a task and return its primary key.

    It runs when the transaction that is open on the database commits, and never if
    it rolls back; without one it is committed at once.

    queue, priority: instead of the task's own.
    countdown: seconds from now, by the database's clock; below 0 is now. eta: a moment;
        a naive one is in Django's current time zone. Given both, the countdown counts.
    expires: seconds from now or a moment; not started by then, it is dropped.
    using: the database alias; by default where the router sends writes of ``Task``.

    Raises TypeError or ValueError (PayloadError among them), naming the argument.
    """
    values = row(
        name,
        args,
        kwargs,
        options,
        queue=queue,
        priority=priority,
        countdown=countdown,
        eta=eta,
        expires=expires,
    )
    connection = connections[using or router.db_for_write(Task)]
    vendor = sql.of(connection.vendor)
    with connection.cursor() as cursor:
        cursor.execute(vendor.ENQUEUE, {key: vendor.adapted(each) for key, each in values.items()})
        return int(cursor.fetchone()[0])


def row(
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: TaskOptions,
    *,
    queue: str | None = None,
    priority: int | None = None,
    countdown: float | datetime.timedelta | None = None,
    eta: datetime.datetime | None = None,
    expires: float | datetime.timedelta | datetime.datetime | None = None,
) -> dict[str, Any]:
    """The values of a task's row, checked as :func:`enqueue` says; nothing is written."""
    if queue is not None:
        check_queue(queue)
    if priority is not None:
        check_priority(priority)
    if eta is not None:
        eta = moment("eta", eta)
    delay = seconds("countdown", countdown)
    lifetime, last_moment = None, None
    if isinstance(expires, datetime.datetime):
        last_moment = moment("expires", expires)
    else:
        lifetime = seconds("expires", expires, also="a datetime, a timedelta or ")
    return {
        "name": name,
        "payload": payload.encode(args, kwargs),
        "queue": queue or options.queue or conf.DEFAULT_QUEUE,
        "priority": options.priority if priority is None else priority,
        "max_losses": 0 if options.on_lost == "fail" else conf.settings().max_losses,
        "eta": None if delay else eta,
        "delay": max(0.0, delay or 0.0),
        "expires": last_moment,
        "lifetime": lifetime,
    }


def moment(name: str, value: datetime.datetime) -> datetime.datetime:
    """A time in UTC. A naive one is in Django's current time zone."""
    if not isinstance(value, datetime.datetime):
        raise TypeError(f"{name} is {value!r}: give a datetime")
    try:
        aware = timezone.make_aware(value) if timezone.is_naive(value) else value
        return aware.astimezone(datetime.UTC)
    except OverflowError as error:
        raise ValueError(f"{name} is {value!r}: in UTC no datetime can hold it") from error


def seconds(
    name: str, value: float | datetime.timedelta | None, *, also: str = "a timedelta or "
) -> float | None:
    """A number of seconds. One below 0 is fine: a moment may have passed as well."""
    if isinstance(value, datetime.timedelta):
        value = value.total_seconds()
    if value is not None:
        check_seconds(name, value, least=-MAX_SECONDS, also=also)
    return value
