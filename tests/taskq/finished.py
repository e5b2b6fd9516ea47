"""Rows of finished tasks, as a worker would have written them."""

from __future__ import annotations

import datetime
from typing import Any

from django.utils import timezone

from taskq.models import FinishedTask

DAY = datetime.timedelta(days=1)


def today() -> datetime.date:
    """The day in UTC."""
    return timezone.now().astimezone(datetime.UTC).date()


def finished(id: int, expires_on: datetime.date | None = None, **fields: Any) -> FinishedTask:
    now = timezone.now()
    values = {
        "id": id,
        "name": "work",
        "payload": "[[],{}]",
        "queue": "default",
        "priority": 0,
        "created_at": now,
        "execute_at": now,
        "started_at": now - datetime.timedelta(seconds=2),
        "finished_at": now,
        "worker": "a/worker 1/7",
        "attempt": 1,
        "retries": 0,
        "expires_on": expires_on or today() + DAY,
    }
    return FinishedTask.objects.create(**{**values, **fields})
