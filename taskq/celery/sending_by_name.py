"""``app.send_task()``: sending a task by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from taskq.celery import options as celery_options
from taskq.celery.result import AsyncResult
from taskq.celery.task import Task
from taskq.celery.task_index import definition
from taskq.outbox import enqueue

_TERMS = ("queue", "priority", "countdown", "eta", "expires", "headers")
_KEYS = ("using", "unique_key", "idempotency_key")


def send(
    name: str,
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
    options: Mapping[str, Any],
) -> Any:
    """Send it. A task of Django's is sent with those options that it can have."""
    found = definition(name)
    if isinstance(found.bound, Task):
        return found.bound.apply_async(args, kwargs, **options)
    given = {key: each for key, each in options.items() if key in (*_TERMS, *_KEYS)}
    celery_options.check_call({key: options[key] for key in options.keys() - given.keys()})
    given = {"using": found.database, **given}
    sent = enqueue.enqueue(name, args or (), kwargs or {}, found.options, **given)
    return AsyncResult.of(sent.id, given["using"])
