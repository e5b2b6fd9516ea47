"""Cancelling tasks as an application does, and telling the history about it."""

from __future__ import annotations

import random
import time

import django.db
from django.db import connection

from stress.history import History
from stress.project.lab.kinds import kind_of
from taskq.celery import AsyncResult
from taskq.models import Task

#: Seconds after which somebody thinks better of a task, at most.
LATEST = 2.5


def cancel(history: History, key: str, result: AsyncResult) -> None:
    """Cancel a task. Where the database fails in the middle of it, it may be so or not."""
    history.record("cancelling", key=key)
    attempt = None
    try:
        removed, asked = Task.objects.filter(pk=result.id.int).cancel()
        if asked:
            # Nobody can claim it any more: this attempt is the last.
            attempts = Task.objects.filter(pk=result.id.int).values_list("attempt", flat=True)
            attempt = attempts.first()
    except django.db.Error:
        connection.close()
        return
    outcome = "removed" if removed else "asked" if asked else "late"
    history.record("cancel", key=key, outcome=outcome, attempt=attempt)


class Regrets:
    """The tasks that an enqueuer is going to cancel, each at a time of its own."""

    def __init__(self, history: History, rng: random.Random) -> None:
        self._history = history
        self._random = rng
        self._due: list[tuple[float, str, AsyncResult]] = []

    def sent(self, key: str, result: AsyncResult) -> None:
        """Remember a task, if it is of a kind that is cancelled."""
        if kind_of(key).cancelled:
            # Half of them at once: what is quick is soon over.
            delay = self._random.choice([0, self._random.uniform(0, LATEST)])
            self._due.append((time.monotonic() + delay, key, result))

    def act(self) -> None:
        """Cancel what is due."""
        now = time.monotonic()
        due = [each for each in self._due if each[0] <= now]
        self._due = [each for each in self._due if each[0] > now]
        for _, key, result in due:
            cancel(self._history, key, result)
