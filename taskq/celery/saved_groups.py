"""The ids of a group's parts, kept under the id of the group.

They are a row among the results, so they are kept as long as results are, and shown there. Its key
is below 0, where no task's is.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.db import router
from django.db.models.functions import Now

from taskq import lazy_models, limits
from taskq.task import payload

#: The name of such a row.
NAME = "taskq.group"


def save(id: str, ids: Any, using: str | None = None) -> None:
    """Keep the ids of the parts. A second call replaces those of the first."""
    row = {
        "name": NAME,
        "payload": payload.encode([id], {}),
        "queue": limits.DEFAULT_QUEUE,
        "priority": 0,
        "created_at": Now(),
        "started_at": Now(),
        "finished_at": Now(),
        "worker": "",
        "value": payload.encode_result(ids, NAME),
    }
    _rows(using).update_or_create(pk=_key(id), defaults=row)


def find(id: str, using: str | None = None) -> Any:
    """What was kept; None when nothing was, or it was long ago."""
    row = _rows(using).filter(pk=_key(id), name=NAME).first()
    return None if row is None else payload.decode_result(row.value, NAME)


def delete(id: str, using: str | None = None) -> None:
    """Keep the ids no longer."""
    _rows(using).filter(pk=_key(id), name=NAME).delete()


def _key(id: str) -> int:
    """The same number for the same id: 63 bits, below 0."""
    digest = hashlib.blake2b(id.encode(), digest_size=8).digest()
    return -1 - (int.from_bytes(digest, "big") >> 1)


def _rows(using: str | None) -> Any:
    return lazy_models.Result.objects.using(using or router.db_for_write(lazy_models.Task))
