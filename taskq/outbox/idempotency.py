"""Idempotency keys: calls with the same key make only one task."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from taskq import conf
from taskq.limits import MAX_SECONDS
from taskq.outbox.calls import Sent
from taskq.sql import keys


def once(connection: BaseDatabaseWrapper, name: str, key: str, send: Callable[[], Sent]) -> Sent:
    """The task of the first call with this key. If this is the first call, ``send`` writes the
    task, in the same transaction.

    Another open transaction may have used the key. Then this waits until that one ends.
    """
    statements = keys.of(connection.vendor)
    ttl = conf.settings().idempotency_ttl or MAX_SECONDS
    values: dict[str, str | float] = {"name": name, "key": key, "ttl": float(ttl)}
    with transaction.atomic(connection.alias, savepoint=False), connection.cursor() as cursor:
        while True:
            cursor.execute(statements.REMEMBER, values)
            if new := cursor.fetchone():
                sent = send()
                cursor.execute(keys.SET_TASK, {"task": sent.id, "id": new[0]})
                return sent
            cursor.execute(keys.KNOWN, values)
            # None when the key was pruned between the two statements.
            if (known := cursor.fetchone()) is not None:
                return Sent(int(known[0]), joined=True)
