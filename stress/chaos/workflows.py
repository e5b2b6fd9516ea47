"""Sending workflows as an application does, cancelling some, and retrying what failed in others."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable

import django.db
from django.db import connection, transaction

from stress.chaos.noting import noted
from stress.chaos.shapes import Sketch, draw
from stress.project.lab.kinds import KINDS
from stress.project.lab.models import Entry
from stress.rig.history import History
from taskq.models import SentWorkflow, State

#: The share of the workflows that are cancelled, and the most seconds after which one is.
CANCELLED, LATEST = 0.1, 1.5
#: Seconds between two retries of what has failed in a workflow, and how many there are.
RETRY_EVERY, RETRIES = 1.0, 8
_KEY = re.compile(rf"\b({'|'.join(map(re.escape, KINDS))})\.\d+\.\d+\b")


def send(
    history: History,
    sketch: Sketch,
    *,
    give_up: bool = False,
    before_commit: Callable[[], None] = lambda: None,
    after_commit: Callable[[], None] = lambda: None,
) -> SentWorkflow | None:
    """Send a workflow in one transaction, and record it. None if it may not have committed.

    give_up: roll the transaction back in the end. before_commit, after_commit: called at that time.
    """
    keys = [part.key for part in sketch.parts]
    for part in sketch.parts:
        places = {"places": part.places} if part.places else {}
        history.record("intent", key=part.key, task=part.kind, **places)
    sent: list[SentWorkflow] = []

    def write() -> None:
        Entry.objects.bulk_create(Entry(key=p.key, kind=p.kind) for p in sketch.parts)
        sent.append(sketch.flow.send())

    committed = noted(
        history,
        keys,
        write,
        give_up=give_up,
        before_commit=before_commit,
        after_commit=after_commit,
    )
    return sent[0] if committed else None


class Workflows:
    """The workflows of one enqueuer."""

    def __init__(self, history: History, rng: random.Random) -> None:
        self._history = history
        self._random = rng
        self._to_cancel: list[tuple[float, SentWorkflow, list[str]]] = []
        self._to_retry: list[tuple[float, SentWorkflow, int]] = []

    def send(
        self,
        *,
        give_up: bool,
        before_commit: Callable[[], None],
        after_commit: Callable[[], None],
    ) -> bool:
        """Send a random workflow. True if it surely committed."""
        sketch = draw(self._random)
        sent = send(
            self._history,
            sketch,
            give_up=give_up,
            before_commit=before_commit,
            after_commit=after_commit,
        )
        if sent is None:
            return False
        keys = [part.key for part in sketch.parts]
        now = time.monotonic()
        if self._random.random() < CANCELLED:
            when = now + self._random.uniform(0, LATEST)
            self._to_cancel.append((when, sent, keys))
        elif any(part.kind == "step-mended" for part in sketch.parts):
            self._to_retry.append((now + RETRY_EVERY, sent, RETRIES))
        return True

    def act(self) -> None:
        """Cancel and retry those whose time has come."""
        now = time.monotonic()
        for cancel in [each for each in self._to_cancel if each[0] <= now]:
            self._to_cancel.remove(cancel)
            self._cancel(*cancel[1:])
        for retry in [each for each in self._to_retry if each[0] <= now]:
            self._to_retry.remove(retry)
            self._retry(*retry[1:])

    def _cancel(self, sent: SentWorkflow, keys: list[str]) -> None:
        for key in keys:
            self._history.record("cancelling", key=key)
        try:
            with transaction.atomic():
                # After a failover another workflow may have its number.
                if keys[0] not in _keys_of(sent):
                    return
                sent.cancel()
                left = {
                    _KEY.search(payload)[0]: (state, attempt)  # type: ignore[index]
                    for payload, state, attempt in sent.steps_left().values_list(
                        "payload", "state", "attempt"
                    )
                }
        except django.db.Error:
            connection.close()
            return
        for key in [*keys, *(left.keys() - set(keys))]:
            state, attempt = left.get(key, (None, None))
            outcome = "late" if state == State.FAILED else "asked"
            outcome = "removed" if key not in left else outcome
            self._history.record("cancel", key=key, outcome=outcome, attempt=attempt)

    def _retry(self, sent: SentWorkflow, left: int) -> None:
        try:
            sent.retry_failed()
        except django.db.Error:
            connection.close()
        if left > 1:
            self._to_retry.append((time.monotonic() + RETRY_EVERY, sent, left - 1))


def _keys_of(sent: SentWorkflow) -> list[str]:
    """The keys of the steps of a workflow, by its row as it is now."""
    steps = SentWorkflow.objects.filter(pk=sent.pk).values_list("steps", flat=True).first()
    return [found[0] for found in _KEY.finditer(steps or "")]
