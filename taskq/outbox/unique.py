"""Unique tasks: their keys, and joining the task that holds one.

A key has two places, each for one task (the index ``taskq_task_unique``). The second is
only for calls that find the first one overdue. A call that joins a waiting task locks it
until its transaction ends, so that it starts after that; calls that follow each other
without a gap would keep it from starting for ever. So they join none that has been due for
``PATIENCE``: with the calls at the other place it has its gap.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from taskq import events, sql
from taskq.conf import KEY_LENGTH, MAX_SECONDS
from taskq.sql import keys
from taskq.task import payload, registry
from taskq.task.registry import Definition
from taskq.values import Stored

#: Seconds that a task is due after which calls prefer another to joining it.
PATIENCE = 10.0

#: Where to insert, which places to join, and how long overdue a task may be for that. The
#: last is for a first task that runs and keeps its key, as the option was another one then.
_EVER = float(MAX_SECONDS)
_STEPS = ((0, [0, 1], PATIENCE), (1, [0], _EVER), (1, [1], _EVER))


def enqueue(
    connection: BaseDatabaseWrapper,
    values: Mapping[str, Any],
    calls: Mapping[str, str],
    *,
    until: str,
    direct: bool,
) -> tuple[dict[str, int], dict[int, Stored]]:
    """Write a task for each of the keys (key -> encoded arguments), or join the one that
    holds it: key -> id, and for those that were written id -> when.

    values: the columns that all have, as of ``taskq.outbox.terms.columns``.
    until: "start" or "finish".
    direct: see :func:`taskq.store.tasks.connect`.
    """
    within, statements = sql.within_of(connection.vendor), keys.of(connection.vendor)
    steps = _STEPS if until == "start" else _STEPS[:1]
    ids: dict[str, int] = {}
    new: dict[int, Stored] = {}

    def missing() -> list[str]:
        return [key for key in calls if key not in ids]

    def run(
        statement: str, wanted: list[str], *, direct: bool, **more: Any
    ) -> list[tuple[Any, ...]]:
        pairs = json.dumps([(calls[key], key) for key in wanted])
        all_of_it = {**values, "unique_until": until, "keys": wanted, "calls": pairs, **more}
        return within.rows_within(connection, statement, all_of_it, direct=direct)

    def insert(place: int) -> None:
        written = run(statements.INSERT, missing(), direct=direct, place=place)
        for id, key, written_at, *_ in written:
            ids[key], new[id] = id, written_at

    def join(places: list[int], overdue: float) -> None:
        """What a claim takes while we wait to lock it is not returned, and locked all the same:
        its worker could not finish it before we commit. That lock is undone."""
        locks = until == "start" and _keeps_locks(connection)
        statement = statements.JOIN if until == "start" else statements.LOOK
        wanted = missing()
        while wanted:
            with transaction.atomic(connection.alias) if locks else nullcontext():
                # Not prepared: a plan made while the table was empty would be kept.
                rows = run(statement, wanted, direct=False, places=places, overdue=overdue)
                found: dict[str, int] = {}
                for id, key, *_ in rows:
                    found.setdefault(key, id)
                strays = locks and len(found) < len(wanted)
                if strays:
                    transaction.set_rollback(True, using=connection.alias)
            if not strays:
                ids.update(found)
                break
            wanted = list(found)

    def drop_expired(statement: str) -> bool:
        """Make room for ours where what holds a key will never be run; whether anything did."""
        left = {"name": values["name"], "keys": missing()}
        locks = _keeps_locks(connection)
        with transaction.atomic(connection.alias) if locks else nullcontext():
            dropped = within.rows_within(connection, statement, left, direct=False)
            if locks and not dropped:  # nor locked, as by join()
                transaction.set_rollback(True, using=connection.alias)
        for (id,) in dropped:
            say = partial(events.task_expired, id, values["name"])
            transaction.on_commit(say, using=connection.alias)
        return bool(dropped)

    # A task may end between our two looks at its key: then there is room for another.
    while len(ids) < len(calls):
        for step in steps:
            place, places, overdue = step
            if len(ids) < len(calls):
                insert(place)
            if len(ids) < len(calls):
                join(places, overdue)
            last = step is steps[-1]
            drop = statements.WAIT_AND_DROP_EXPIRED if last else statements.DROP_EXPIRED
            if len(ids) < len(calls) and drop_expired(drop):
                break
    return ids, new


def _keeps_locks(connection: BaseDatabaseWrapper) -> bool:
    """Whether a row that a statement has locked stays so, in a transaction that is open."""
    return bool(connection.features.has_select_for_update and not connection.get_autocommit())


def key_of(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any], given: str | None = None
) -> str | None:
    """The key of a call, given with it or made by its task's option ``unique``; None for a
    call that has none.

    Raises TypeError or ValueError for arguments that the function does not take, or that
    give no key, and for a text that can be none.
    """
    if given is not None:
        check_key("unique_key", given)
        return given
    definition = registry.find(name)
    if definition is None:
        raise ValueError(f"name is {name!r}: no such task is registered, so it has no unique key")
    unique = definition.options.unique
    if callable(unique):
        key = unique(*args, **kwargs)
        if key is None:
            return None
    else:
        bound = _bound(definition, args, kwargs)
        if unique == "args":
            text = payload.canonical(bound.args, bound.kwargs)
            return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        try:
            key = str(unique).format(**bound.arguments)
        except (LookupError, AttributeError, ValueError, TypeError) as error:
            raise ValueError(
                f"unique is {unique!r}, which makes no key of the arguments of {name}: "
                f"{type(error).__name__}: {error}"
            ) from error
    check_key(f"the unique key of {name}", key)
    return key


def check_key(name: str, key: object) -> None:
    """Raise TypeError or ValueError unless this can be a key."""
    if not isinstance(key, str):
        raise TypeError(f"{name} is {key!r}: give a str")
    if not key or len(key) > KEY_LENGTH or "\0" in key:
        raise ValueError(f"{name} is {key!r}: give 1 to {KEY_LENGTH} characters")


def _bound(
    definition: Definition, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> inspect.BoundArguments:
    """The arguments by name, so that it does not matter how a call passes them."""
    try:
        bound = definition.signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{definition.name}: {error}") from error
    bound.apply_defaults()
    return bound
