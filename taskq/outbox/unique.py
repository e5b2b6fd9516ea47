"""Unique tasks: their keys, and how a call joins the task that holds its key.

A key has two places, and each holds one task (the index ``taskq_task_unique``). A call that joins
a waiting task locks it until the caller's transaction ends, so the task starts after that. Calls
that follow each other without a gap would keep it locked for ever. So no call joins a task that
has been due for ``PATIENCE`` seconds: such calls use the second place, and the first task starts.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from taskq import events, sql
from taskq.limits import KEY_LENGTH, MAX_SECONDS
from taskq.sql import keys
from taskq.task import payload, registry
from taskq.task.registry import Definition
from taskq.values import STORABLE, Stored, is_storable

#: Seconds after which calls no longer join a task that is due, but use the other place.
PATIENCE = 10.0

#: For each step: the place to insert at, the places to join, and for how many seconds a task that
#: is joined may be due. The last step is for a first task that runs and still holds its key,
#: because ``unique_until`` was "finish" when it was sent.
_EVER = float(MAX_SECONDS)
_STEPS = ((0, [0, 1], PATIENCE), (1, [0], _EVER), (1, [1], _EVER))


def enqueue(
    connection: sql.DjangoConnection,
    values: Mapping[str, Any],
    calls: Mapping[str, str],
    *,
    until: str,
) -> tuple[dict[str, int], dict[int, Stored]]:
    """Write a task for each of the keys, or join the task that holds it.

    values: the columns that all tasks share, as ``taskq.outbox.terms.columns`` makes them.
    calls: the encoded arguments by key.
    until: "start" or "finish".

    Returns the id for each key, and for each new task, by id, when it was written.
    """
    sending = _Sending(connection, values, calls, until)
    # A task may end between our two looks at its key. Then there is room for a new one.
    while sending.missing():
        sending.go_through_steps()
    return sending.ids, sending.new


class _Sending:
    """Calls with a key each, and the tasks that they have so far."""

    def __init__(
        self,
        connection: sql.DjangoConnection,
        values: Mapping[str, Any],
        calls: Mapping[str, str],
        until: str,
    ) -> None:
        self.ids: dict[str, int] = {}
        self.new: dict[int, Stored] = {}
        self._connection = connection
        # The server would keep a plan that was made while the table was empty.
        self._unprepared = sql.django_connection(connection.wrapper, direct=False)
        self._alias = connection.wrapper.alias
        self._values = values
        self._calls = calls
        self._until = until
        self._statements = keys.of(connection.wrapper.vendor)

    def missing(self) -> list[str]:
        """The keys of the calls that have no task yet."""
        return [key for key in self._calls if key not in self.ids]

    def go_through_steps(self) -> None:
        """Insert and join, until each call has a task or an expired task made room."""
        steps = _STEPS if self._until == "start" else _STEPS[:1]
        for step in steps:
            place, places, overdue = step
            self._insert(place)
            if not self.missing():
                return
            self._join(places, overdue)
            if not self.missing() or self._drop_expired(wait=step is steps[-1]):
                return

    def _insert(self, place: int) -> None:
        """Write a task at this place for each key that no task holds there."""
        statement, wanted = self._statements.INSERT, self.missing()
        written = self._connection.rows(statement, self._about(wanted, place=place))
        for id, key, written_at, *_ in written:
            self.ids[key], self.new[id] = id, written_at

    def _join(self, places: list[int], overdue: float) -> None:
        """Join the tasks at these places.

        While the statement waits for a task's lock, a claim may take the task. The task is
        then locked but not returned, and its worker could not finish it before the caller
        commits. So that lock is undone.
        """
        joins = self._until == "start"
        locks = joins and _keeps_locks(self._connection.wrapper)
        statement = self._statements.JOIN if joins else self._statements.LOOK
        wanted = self.missing()
        while wanted:
            with self._savepoint(locks):
                about = self._about(wanted, places=places, overdue=overdue)
                rows = self._unprepared.rows(statement, about)
                found: dict[str, int] = {}
                for id, key, *_ in rows:
                    found.setdefault(key, id)
                strays = locks and len(found) < len(wanted)
                if strays:
                    self._undo_locks()
            if not strays:
                self.ids.update(found)
                break
            wanted = list(found)

    def _drop_expired(self, *, wait: bool) -> bool:
        """Remove tasks that hold a key and have expired, to make room. Whether any was removed.

        wait: for tasks that are locked; else these are passed over.
        """
        statements = self._statements
        statement = statements.WAIT_AND_DROP_EXPIRED if wait else statements.DROP_EXPIRED
        name = self._values["name"]
        left = {"name": name, "keys": self.missing()}
        locks = _keeps_locks(self._connection.wrapper)
        with self._savepoint(locks):
            dropped = self._unprepared.rows(statement, left)
            if locks and not dropped:  # a lock without a row, as in _join()
                self._undo_locks()
        for (id,) in dropped:
            transaction.on_commit(partial(events.task_expired, id, name), using=self._alias)
        return bool(dropped)

    def _about(self, wanted: list[str], **more: Any) -> dict[str, Any]:
        """The values of a statement about these keys."""
        calls = json.dumps([(self._calls[key], key) for key in wanted])
        shared = {**self._values, "unique_until": self._until, "keys": wanted, "calls": calls}
        return {**shared, **more}

    def _savepoint(self, locks: bool) -> AbstractContextManager[None]:
        """For a statement whose locks may have to be undone."""
        return transaction.atomic(self._alias) if locks else nullcontext()

    def _undo_locks(self) -> None:
        transaction.set_rollback(True, using=self._alias)


def _keeps_locks(connection: BaseDatabaseWrapper) -> bool:
    """Whether a lock lasts beyond its statement: in an open transaction, on PostgreSQL."""
    return bool(connection.features.has_select_for_update and not connection.get_autocommit())


def key_of(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any], given: str | None = None
) -> str | None:
    """The unique key of a call: the given one, or the one that the option ``unique`` makes of
    the arguments. None when the call has no key.

    Raises TypeError or ValueError for arguments that the function does not take, for arguments
    that give no key, and for a text that is no valid key.
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
    """Raise TypeError or ValueError unless this is a valid key."""
    if not isinstance(key, str):
        raise TypeError(f"{name} is {key!r}: give a str")
    if not is_storable(key, KEY_LENGTH):
        raise ValueError(f"{name} is {key!r}: give 1 to {KEY_LENGTH} characters, {STORABLE}")


def _bound(
    definition: Definition, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> inspect.BoundArguments:
    """The arguments by name: two calls that pass the same values differently get the same key."""
    try:
        bound = definition.signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{definition.name}: {error}") from error
    bound.apply_defaults()
    return bound
