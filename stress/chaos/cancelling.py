"""Cancelling tasks as an application does, and recording it in the history."""

from __future__ import annotations

import random
import time

import django.db
from django.db import connection

from stress.project.lab.kinds import kind_of
from stress.rig.history import History
from taskq.celery import AsyncResult
from taskq.models import State, Task

#: The most seconds after which a task is cancelled.
LATEST = 2.5


def cancel(history: History, key: str, result: AsyncResult) -> None:
    """Cancel a task. If the database fails in the middle, it may be cancelled or not."""
    # By its key too: after a failover another task may have its id.
    chosen = Task.objects.filter(pk=result.id.int, payload__contains=f'"{key}"')
    history.record("cancelling", key=key)
    attempt = None
    try:
        removed, asked = chosen.cancel()
        if asked:
            # No worker can claim it any more, so this attempt is the last.
            attempt = chosen.values_list("attempt", flat=True).first()
    except django.db.Error:
        connection.close()
        return
    outcome = "removed" if removed else "asked" if asked else "late"
    history.record("cancel", key=key, outcome=outcome, attempt=attempt)


class Regrets:
    """The tasks that an enqueuer will cancel: some after a random time, the others once they
    run."""

    def __init__(self, history: History, rng: random.Random) -> None:
        self._history = history
        self._random = rng
        self._timed: dict[str, float] = {}  # when, by key
        self._results: dict[str, AsyncResult] = {}

    def sent(self, key: str, result: AsyncResult) -> None:
        """Remember a task if its kind is one that is cancelled."""
        if not kind_of(key).cancelled:
            return
        self._results[key] = result
        # A quick task is soon over, so some are cancelled at once.
        delay = self._random.choice([None, 0, self._random.uniform(0, LATEST)])
        if delay is not None:
            self._timed[key] = time.monotonic() + delay

    def act(self) -> None:
        """Cancel the tasks whose time has come."""
        now = time.monotonic()
        running = self._running()
        for key, result in list(self._results.items()):
            if self._timed.get(key, now) <= now and (key in self._timed or key in running):
                del self._results[key]
                self._timed.pop(key, None)
                cancel(self._history, key, result)

    def _running(self) -> set[str]:
        """The keys of those that a worker holds now, by the database. Forgets tasks whose row
        is gone."""
        keys = {self._results[key].id.int: key for key in self._results.keys() - self._timed.keys()}
        if not keys:
            return set()
        try:
            states = dict(Task.objects.filter(pk__in=keys).values_list("pk", "state"))
        except django.db.Error:
            connection.close()
            return set()
        for pk in keys.keys() - states.keys():
            del self._results[keys[pk]]
        return {keys[pk] for pk, state in states.items() if state == State.RUNNING}
