"""The one way in: a task becomes a row, in the caller's own transaction."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, TypedDict, Unpack

from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from taskq import conf, payload, signals, sql
from taskq.conf import MAX_SECONDS
from taskq.models import Task
from taskq.options import TaskOptions, check_priority, check_seconds
from taskq.queues import check_queue

#: Characters of encoded arguments that one statement carries: far below what PostgreSQL
#: (1 GiB) and SQLite (1 GB) take, and a few times that in memory while it is sent.
STATEMENT = 32 * 1024 * 1024


class Terms(TypedDict, total=False):
    """Where and when a task is to run; all of it may be left out, or None.

    queue, priority: instead of the task's own.
    countdown: seconds from now, by the database's clock; below 0 is now. eta: a moment;
        a naive one is in Django's current time zone. Given both, the countdown counts.
    expires: seconds from now or a moment; not started by then, it is dropped.
    headers: what goes along beside the arguments, to ``request.headers`` of each run; a
        dict with keys of str. It counts into MAX_PAYLOAD.
    """

    queue: str | None
    priority: int | None
    countdown: float | datetime.timedelta | None
    eta: datetime.datetime | None
    expires: float | datetime.timedelta | datetime.datetime | None
    headers: Mapping[str, Any] | None


#: The positional and the keyword arguments of a call.
Arguments = tuple[Sequence[Any], Mapping[str, Any]]
#: One of many calls, as a user says it: the positional arguments, or the keyword arguments.
Call = tuple[Any, ...] | list[Any] | Mapping[str, Any]


def enqueue(
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: TaskOptions,
    *,
    using: str | None = None,
    **terms: Unpack[Terms],
) -> int:
    """Write a task and return its primary key.

    It runs when the transaction that is open on the database commits, and never if
    it rolls back; without one it is committed at once.

    using: the database alias; by default where the router sends writes of ``Task``.
    terms: see :class:`Terms`.

    Raises TypeError or ValueError (PayloadError among them), naming the argument.
    """
    values = row(name, args, kwargs, options, **terms)
    connection, vendor = _database(using)
    with vendor.cursor(connection, direct=_direct(connection)) as cursor:
        cursor.execute(vendor.ENQUEUE, vendor.adapted(values))
        id = int(cursor.fetchone()[0])
    if signals.task_enqueued.receivers:
        signals.enqueued(connection, name, [id], str(values["queue"]))
    return id


def enqueue_many(
    name: str,
    calls: Iterable[Arguments],
    options: TaskOptions,
    *,
    using: str | None = None,
    **terms: Unpack[Terms],
) -> list[int]:
    """Write a task for each of the calls, all or none; the primary keys, in their order.

    As :func:`enqueue` in everything else, with one statement and one wake-up for all
    (one for each ``STATEMENT`` characters of arguments).
    """
    values = {"name": name, **columns(options, **terms)}
    headers = _headers(name, terms)
    connection, vendor = _database(using)
    statements = list(_statements(calls, headers))
    ids: list[int] = []
    with ExitStack() as stack:
        if len(statements) > 1:
            stack.enter_context(transaction.atomic(connection.alias))
        for payloads in statements:
            cursor = stack.enter_context(vendor.cursor(connection, direct=_direct(connection)))
            # As text, which costs the client far less than an array's quotes.
            values["payloads"] = json.dumps(payloads)
            cursor.execute(vendor.ENQUEUE_MANY, vendor.adapted(values))
            # The database numbers them in their order, but returns them in any.
            ids += sorted([id for id, *_ in cursor.fetchall()])
    if signals.task_enqueued.receivers:
        signals.enqueued(connection, name, ids, str(values["queue"]))
    return ids


def row(
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: TaskOptions,
    **terms: Unpack[Terms],
) -> dict[str, Any]:
    """The values of a task's row, checked as :func:`enqueue` says; nothing is written."""
    values = columns(options, **terms)
    values["name"] = name
    values["payload"] = payload.encode(args, kwargs, _headers(name, terms))
    return values


def rows(
    name: str, calls: Iterable[Arguments], options: TaskOptions, **terms: Unpack[Terms]
) -> list[dict[str, Any]]:
    """:func:`row` for each of many calls."""
    values = {"name": name, **columns(options, **terms)}
    headers = _headers(name, terms)
    return [{**values, "payload": text} for text in _encoded(calls, headers)]


def pairs(calls: Iterable[Call]) -> Iterator[Arguments]:
    """The positional and keyword arguments of each call.

    Raises TypeError, with the index of the call, for what is neither.
    """
    for index, call in enumerate(calls):
        if isinstance(call, (tuple, list)):
            yield call, {}
        elif are_keywords(call):
            yield (), call
        else:
            raise TypeError(
                f"calls[{index}] is {call!r}: give a tuple of the positional arguments, "
                "such as (42,), or a dict of the keyword arguments"
            )


def are_keywords(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


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
    """What a task's options and its terms make of a row: all but the call, in which its
    headers are."""
    if headers is not None and not are_keywords(headers):
        raise TypeError(f"headers is {headers!r}: give a dict with keys of str, or None")
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
        "queue": queue or options.queue or conf.DEFAULT_QUEUE,
        "priority": options.priority if priority is None else priority,
        "max_losses": 0 if options.on_lost == "fail" else conf.settings().max_losses,
        "eta": None if delay else eta,
        "delay": max(0.0, delay or 0.0),
        "expires": last_moment,
        "lifetime": lifetime,
    }


def _headers(name: str, terms: Terms) -> Mapping[str, Any] | None:
    """Those that were given, with what the receivers of task_enqueuing add to them."""
    headers = terms.get("headers")
    if signals.task_enqueuing.receivers:
        headers = signals.enqueuing(name, headers)
        if not are_keywords(headers):
            raise TypeError(
                f"headers is {headers!r}, as receivers of task_enqueuing left it: let them add "
                "keys of str"
            )
    return headers


def _statements(
    calls: Iterable[Arguments], headers: Mapping[str, Any] | None
) -> Iterator[list[str]]:
    """The encoded arguments of calls, as many together as one statement should carry."""
    together: list[str] = []
    size = 0
    for text in _encoded(calls, headers):
        size += len(text)
        if size > STATEMENT and together:
            yield together
            together, size = [], len(text)
        together.append(text)
    if together:
        yield together


def _encoded(calls: Iterable[Arguments], headers: Mapping[str, Any] | None) -> Iterator[str]:
    for index, (args, kwargs) in enumerate(calls):
        try:
            yield payload.encode(args, kwargs, headers)
        except payload.PayloadError as error:
            raise payload.PayloadError(f"calls[{index}]: {error}") from error


def _database(using: str | None) -> tuple[BaseDatabaseWrapper, sql.Statements]:
    connection = connections[using or router.db_for_write(Task)]
    return connection, sql.of(connection.vendor)


def _direct(connection: BaseDatabaseWrapper) -> bool:
    """Whether neither our setting nor Django's says that a pooler may give the session to
    others between two transactions."""
    pooled = connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS", False)
    return conf.settings().listen is True and not pooled


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
