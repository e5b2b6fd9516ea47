"""Sending tasks as an application does, and telling the history about it.

In one transaction: a row of the application's own, which says afterwards what
was committed, and the task.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable

import django.db
from django.db import connection, transaction

from stress.history import History
from stress.project.lab import tasks
from stress.project.lab.kinds import KINDS, Kind
from stress.project.lab.models import Entry
from taskq.celery import AsyncResult

_numbers = itertools.count()


class _ChangedMind(Exception):
    """The transaction is to be rolled back."""


def new_key(kind: Kind) -> str:
    """A key that no other process makes: the kind, us, a number."""
    return f"{kind.name}.{os.getpid()}.{next(_numbers)}"


def send(
    history: History,
    names: Iterable[str],
    *args: object,
    give_up: bool = False,
    before_commit: Callable[[], None] = lambda: None,
    after_commit: Callable[[], None] = lambda: None,
    sent: Callable[[str, AsyncResult], object] = lambda key, result: None,
) -> bool:
    """One task of each of these kinds, in one transaction; whether it surely committed.

    args: instead of the kinds' own. give_up: roll it back in the end.
    before_commit, after_commit: called then. sent: called with the key and the handle of
    each, once they are committed.

    False when it was given up, and when the database failed in the middle of it: then
    it may have committed or not.
    """
    kinds = [KINDS[name] for name in names]
    keys = [new_key(kind) for kind in kinds]
    results: dict[str, AsyncResult] = {}
    for key, kind in zip(keys, kinds, strict=True):
        history.record("intent", key=key, task=kind.name)
    try:
        with transaction.atomic():
            Entry.objects.bulk_create(
                Entry(key=key, kind=kind.name) for key, kind in zip(keys, kinds, strict=True)
            )
            for key, kind in zip(keys, kinds, strict=True):
                results[key] = getattr(tasks, kind.task).delay(key, *(args or kind.args))
            if give_up:
                raise _ChangedMind
            before_commit()
    except _ChangedMind:
        history.record("rollback", keys=keys)
        return False
    except django.db.Error:
        connection.close()
        return False
    after_commit()
    history.record("commit", keys=keys)
    for key, result in results.items():
        sent(key, result)
    return True
