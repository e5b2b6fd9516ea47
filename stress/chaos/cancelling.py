"""Cancelling tasks as an application does, and telling the history about it."""

from __future__ import annotations

import random
import time

import django.db
from django.db import connection

from stress.project.lab.kinds import kind_of
from stress.rig.history import History
from taskq.celery import AsyncResult
from taskq.models import State, Task

#: Seconds after which somebody thinks better of a task, at most.
LATEST = 2.5


def cancel(history: History, key: str, result: AsyncResult) -> None:
    """Cancel a task. Where the database fails in the middle of it, it may be so or not."""
    # By its key too: after a failover its id may be another's.
    chosen = Task.objects.filter(pk=result.id.int, payload__contains=f'"{key}"')
    history.record("cancelling", key=key)
    attempt = None
    try:
        removed, asked = chosen.cancel()
        if asked:
            # Nobody can claim it any more: this attempt is the last.
            attempt = chosen.values_list("attempt", flat=True).first()
    except django.db.Error:
        connection.close()
        return
    outcome = "removed" if removed else "asked" if asked else "late"
    history.record("cancel", key=key, outcome=outcome, attempt=attempt)


class Regrets:
    """The tasks that an enqueuer is going to cancel: some after a time of their own, however
    they fare, the others once they run."""

    def __init__(self, history: History, rng: random.Random) -> None:
        self._history = history
        self._random = rng
        self._timed: dict[str, float] = {}  # when, by key
        self._results: dict[str, AsyncResult] = {}

    def sent(self, key: str, result: AsyncResult) -> None:
        """Remember a task, if it is of a kind that is cancelled."""
        if not kind_of(key).cancelled:
            return
        self._results[key] = result
        # What is quick is soon over: some of them at once.
        delay = self._random.choice([None, 0, self._random.uniform(0, LATEST)])
        if delay is not None:
            self._timed[key] = time.monotonic() + delay

    def act(self) -> None:
        """Cancel what is due."""
        now = time.monotonic()
        running = self._running()
        for key, result in list(self._results.items()):
            if self._timed.get(key, now) <= now and (key in self._timed or key in running):
                del self._results[key]
                self._timed.pop(key, None)
                cancel(self._history, key, result)

    def _running(self) -> set[str]:
        """Those of them that are held by a worker now, as far as the database says. Those
        that are gone are forgotten."""
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
