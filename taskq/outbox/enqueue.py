"""The one way in: a call becomes a row, in the caller's own transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import islice
from typing import Any, Unpack

from django.db import router, transaction

from taskq import conf, lazy_models, signals, sql
from taskq.connections.of_thread import connection_of
from taskq.outbox import idempotency, unique
from taskq.outbox.calls import Arguments, Sent, are_keywords, encoded
from taskq.outbox.terms import Terms, columns
from taskq.sql.statements import EnqueueStatements
from taskq.task import carried_context, payload
from taskq.task.options import TaskOptions
from taskq.values import Stored

#: Characters of encoded arguments that one statement carries. PostgreSQL (1 GiB) and SQLite
#: (1 GB) take far more, but sending needs a few times the size in memory.
STATEMENT = 32 * 1024 * 1024


def enqueue(
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: TaskOptions,
    *,
    using: str | None = None,
    unique_key: str | None = None,
    idempotency_key: str | None = None,
    timed: bool = False,
    **terms: Unpack[Terms],
) -> Sent:
    """Write a task, or join an existing one.

    The task runs after the transaction that is open on the database has committed, and never
    if that rolls back. Without an open transaction it is committed at once.

    using: the database alias; by default the one to which the router sends writes of ``Task``.
    unique_key: the key of this call, in place of the one that the option ``unique`` makes. If a
        task of this name holds the key, the call joins it. Else the new task holds the key.
    idempotency_key: the first call with this key, for this name, makes the task. Later calls
        return the same task for ``IDEMPOTENCY_TTL`` seconds, whatever its state is then.
    timed: also return when the task was written.
    terms: see :class:`taskq.outbox.terms.Terms`. A task that is joined keeps its own terms.

    Raises TypeError or ValueError (PayloadError among them), naming the argument.
    """
    values = row(name, args, kwargs, options, **terms)
    connection, statements = database(using)
    if unique_key is None and idempotency_key is None and options.unique is None:  # most calls
        return _write(connection, statements, values, timed)
    key = check_keys(name, args, kwargs, options, unique_key, idempotency_key)

    def send() -> Sent:
        if key is None:
            return _write(connection, statements, values, timed)
        return _write_unique(connection, values, key, options)

    return (
        idempotency.once(connection.wrapper, name, idempotency_key, send)
        if idempotency_key
        else send()
    )


def check_keys(
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: TaskOptions,
    unique_key: str | None,
    idempotency_key: str | None,
) -> str | None:
    """The unique key of a call, or None. Raises as :func:`enqueue` for a wrong key."""
    if idempotency_key is not None:
        unique.check_key("idempotency_key", idempotency_key)
    if unique_key is None and options.unique is None:
        return None
    return unique.key_of(name, args, kwargs, unique_key)


def _write(
    connection: sql.DjangoConnection,
    statements: EnqueueStatements,
    values: Mapping[str, Any],
    timed: bool,
) -> Sent:
    statement = statements.ENQUEUE_TIMED if timed else statements.ENQUEUE
    ((id, *rest),) = connection.rows(statement, values)
    _tell(connection, values, [id])
    return Sent(id, False, rest[0] if timed else None)


def _write_unique(
    connection: sql.DjangoConnection, values: Mapping[str, Any], key: str, options: TaskOptions
) -> Sent:
    calls = {key: values["payload"]}
    ids, new = unique.enqueue(connection, values, calls, until=options.unique_until)
    _tell(connection, values, list(new))
    return Sent(ids[key], not new, new.get(ids[key]))


def enqueue_many(
    name: str,
    calls: Iterable[Arguments],
    options: TaskOptions,
    *,
    using: str | None = None,
    timed: bool = False,
    **terms: Unpack[Terms],
) -> tuple[list[int], dict[int, Stored]]:
    """Write a task for each of the calls, or join an existing one: all calls, or none.

    Returns the primary keys in the order of the calls. With ``timed`` it also returns when each
    new task was written.

    Else as :func:`enqueue`, with one statement and one wake-up for all calls. More than
    ``STATEMENT`` characters of arguments take several statements.
    """
    values = {"name": name, **columns(options, **terms)}
    headers = _headers(name, values["queue"], terms)
    connection, statements = database(using)
    if options.unique is not None:
        return _enqueue_many_unique(
            connection, statements, values, list(calls), options, headers, timed
        )
    texts = encoded(name, calls, headers)
    return _write_many(connection, statements, values, texts, timed)


def _write_many(
    connection: sql.DjangoConnection,
    statements: EnqueueStatements,
    values: Mapping[str, Any],
    texts: Iterable[str],
    timed: bool,
) -> tuple[list[int], dict[int, Stored]]:
    parts = list(_parts(texts))
    statement = statements.ENQUEUE_MANY_TIMED if timed else statements.ENQUEUE_MANY
    ids: list[int] = []
    written_at: dict[int, Stored] = {}
    with transaction.atomic(connection.wrapper.alias) if len(parts) > 1 else nullcontext():
        for payloads in parts:
            # One text costs the client far less than an array, whose elements it must quote.
            more = {**values, "payloads": json.dumps(payloads)}
            found = connection.rows(statement, more)
            # The database numbers the rows in order, but returns them in any order.
            ids += sorted([id for id, *_ in found])
            if timed:
                written_at.update((id, at) for id, at, *_ in found)
    _tell(connection, values, ids)
    return ids, written_at


def _enqueue_many_unique(
    connection: sql.DjangoConnection,
    statements: EnqueueStatements,
    values: Mapping[str, Any],
    calls: Sequence[Arguments],
    options: TaskOptions,
    headers: Mapping[str, Any] | None,
    timed: bool,
) -> tuple[list[int], dict[int, Stored]]:
    """As :func:`enqueue_many`. Calls with the same key have the same primary key."""
    texts = list(encoded(values["name"], calls, headers))
    keys = _keys(values["name"], calls)
    keyed: dict[str, str] = {}
    for key, text in zip(keys, texts, strict=True):
        if key is not None:
            keyed.setdefault(key, text)
    keyed = dict(sorted(keyed.items()))  # all callers take keys in this order
    rest, ids = iter(keyed.items()), {}
    new: dict[int, Stored] = {}
    with transaction.atomic(connection.wrapper.alias):
        for some in _parts(keyed.values()):
            part = dict(islice(rest, len(some)))
            until = options.unique_until
            held, written = unique.enqueue(connection, values, part, until=until)
            ids.update(held)
            new.update(written)
        _tell(connection, values, list(new))
        plain = [text for key, text in zip(keys, texts, strict=True) if key is None]
        others, times = _write_many(connection, statements, values, plain, timed)
    left = iter(others)
    every = [ids[key] if key is not None else next(left) for key in keys]
    return every, {**new, **times}


def _keys(name: str, calls: Sequence[Arguments]) -> list[str | None]:
    keys = []
    for index, (args, kwargs) in enumerate(calls):
        try:
            keys.append(unique.key_of(name, args, kwargs))
        except (TypeError, ValueError) as error:
            raise type(error)(f"calls[{index}]: {error}") from error
    return keys


def row(
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: TaskOptions,
    **terms: Unpack[Terms],
) -> dict[str, Any]:
    """The values of a task's row, checked as in :func:`enqueue`. Nothing is written."""
    values = columns(options, **terms)
    values["name"] = name
    headers = _headers(name, values["queue"], terms, args, kwargs)
    values["payload"] = payload.encode(args, kwargs, headers, name)
    return values


def rows(
    name: str, calls: Iterable[Arguments], options: TaskOptions, **terms: Unpack[Terms]
) -> list[dict[str, Any]]:
    """:func:`row` for each of many calls."""
    values = {"name": name, **columns(options, **terms)}
    headers = _headers(name, values["queue"], terms)
    pairs = list(calls)
    found = [{**values, "payload": text} for text in encoded(name, pairs, headers)]
    if options.unique is not None:
        _keys(name, pairs)
    return found


def _headers(
    name: str,
    queue: object,
    terms: Terms,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] = {},
) -> Mapping[str, Any] | None:
    """The headers of a call: the given ones, the caller's contexts, and what receivers of
    task_enqueuing add. For many calls no arguments are given."""
    headers = terms.get("headers")
    if conf.settings().context:
        headers = carried_context.captured(headers)
    if signals.task_enqueuing.receivers:
        headers = signals.enqueuing(name, str(queue), headers, args, kwargs)
        if not are_keywords(headers):
            raise TypeError(
                f"headers is {headers!r}, as receivers of task_enqueuing left it: let them add "
                "keys of str"
            )
    return headers


def _tell(connection: sql.DjangoConnection, values: Mapping[str, Any], ids: Sequence[int]) -> None:
    """Send the signal task_enqueued for these rows."""
    if ids and signals.task_enqueued.receivers:
        signals.enqueued(connection.wrapper, str(values["name"]), list(ids), str(values["queue"]))


def _parts(texts: Iterable[str]) -> Iterator[list[str]]:
    """The encoded arguments of calls, in groups that one statement should carry."""
    together: list[str] = []
    size = 0
    for text in texts:
        size += len(text)
        if size > STATEMENT and together:
            yield together
            together, size = [], len(text)
        together.append(text)
    if together:
        yield together


def database(using: str | None) -> tuple[sql.DjangoConnection, EnqueueStatements]:
    """The connection on which tasks are sent, and its vendor's statements.

    using: the alias of the database. By default the router decides.
    """
    wrapper = connection_of(using or router.db_for_write(lazy_models.Task))
    # Our setting or Django's can say that a pooler gives the session to others between two
    # transactions.
    pooled = wrapper.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS", False)
    direct = conf.settings().direct and not pooled
    vendor = wrapper.vendor
    return sql.django_connection_of(vendor)(wrapper, direct=direct), sql.enqueue_of(vendor)
