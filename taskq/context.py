"""What a running task can know of its own run."""

from __future__ import annotations

import datetime
import uuid
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Request:
    """The run in progress; the names are those of Celery's ``task.request``.

    id: None for an eager run, which has no row.
    retries: how often the task was retried before. losses: how often it lost its worker.
    """

    id: uuid.UUID | None
    name: str
    queue: str
    retries: int = 0
    losses: int = 0
    eta: datetime.datetime | None = None
    is_eager: bool = False


current: ContextVar[Request | None] = ContextVar("taskq_request", default=None)
