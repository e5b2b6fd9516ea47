"""Sending tasks as an application does, and recording it in the history.

One transaction writes the task and a row of the application. That row shows afterwards
whether the transaction was committed.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable

from stress.chaos.noting import noted
from stress.project.lab import tasks
from stress.project.lab.kinds import KINDS, Kind
from stress.project.lab.models import Entry
from stress.rig.history import History
from taskq.celery import AsyncResult

_numbers = itertools.count()

#: How many groups the calls of a unique kind form.
GROUPS = 3
#: Seconds that a transaction stays open after such a call. In that time its task could
#: be run too early.
LINGER = 0.02


def _group(key: str) -> str:
    kind, _, number = key.split(".")
    return f"{kind}-{int(number) % GROUPS}"


def new_key(kind: Kind) -> str:
    """A key that no other process makes: the kind, this pid, a number."""
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
    """Send one task of each of these kinds in one transaction. True if it surely committed.

    args: in place of the kinds' own. give_up: roll the transaction back in the end.
    before_commit, after_commit: called at that time. sent: called with the key and the
    handle of each task after the commit.

    False when it was rolled back, and when the database failed in the middle. In the
    latter case it may have committed or not.
    """
    kinds = [KINDS[name] for name in names]
    calls = [(new_key(kind), kind) for kind in kinds]
    keys = [key for key, _ in calls]
    groups = {key: _group(key) for key, kind in calls if kind.unique}
    results: dict[str, AsyncResult] = {}
    # All take keys in one order. So they may wait for each other, but cannot deadlock.
    calls.sort(key=lambda call: groups.get(call[0], ""))
    for key, kind in calls:
        group = {"group": groups[key]} if key in groups else {}
        history.record("intent", key=key, task=kind.name, **group)

    def write() -> None:
        Entry.objects.bulk_create(Entry(key=key, kind=kind.name) for key, kind in calls)
        for key, kind in calls:
            own = (groups[key],) if key in groups else args or kind.args
            results[key] = getattr(tasks, kind.task).delay(key, *own)
        if groups:
            time.sleep(LINGER)

    def committing() -> None:
        before_commit()
        if groups:
            history.record("committing", keys=list(groups))

    committed = noted(
        history,
        keys,
        write,
        give_up=give_up,
        before_commit=committing,
        after_commit=after_commit,
    )
    if committed:
        for key, result in results.items():
            sent(key, result)
    return committed
