"""Ids that callers give to their tasks (``task_id=``), beside the ids that the rows have.

A row of the idempotency keys with the empty name says which task has the id: the one that was sent
with it last. It is pruned once there is neither the task nor a result of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from taskq.limits import KEY_LENGTH
from taskq.sql import keys
from taskq.task import ids
from taskq.values import STORABLE, is_storable


def check(given: object) -> str:
    """The id, as a text. Raises TypeError or ValueError for one that cannot be given."""
    text = str(given) if isinstance(given, (str, uuid.UUID)) else None
    if text is None:
        raise TypeError(f"task_id is {given!r}: give a text or a UUID")
    if not is_storable(text, KEY_LENGTH):
        raise ValueError(f"task_id is {given!r}: give 1 to {KEY_LENGTH} characters, {STORABLE}")
    if ids.is_of_a_row(text):
        raise ValueError(
            f"task_id is {given!r}: this is the id of row {ids.parse(text)}; give a random UUID "
            "(taskq.celery.uuid()) or a text that is no number"
        )
    return text


def note(connection: BaseDatabaseWrapper, given: Mapping[str, int]) -> None:
    """Write which tasks these ids stand for: primary keys by id. Call it in the transaction that
    sends the tasks."""
    statement = keys.of(connection.vendor).GIVE_ID
    with connection.cursor() as cursor:
        for key, task in sorted(given.items()):  # all callers take the keys in this order
            cursor.execute(statement, {"key": key, "task": task})


def find(given: str, alias: str) -> int | None:
    """The primary key of the task that was last sent with this id; None for none."""
    if not is_storable(given, KEY_LENGTH):
        return None
    with connections[alias].cursor() as cursor:
        cursor.execute(keys.KNOWN, {"name": "", "key": given})
        found = cursor.fetchone()
    return None if found is None else int(found[0])
