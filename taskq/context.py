"""What a running task can know of its own run."""

from __future__ import annotations

import datetime
import uuid
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Request:
    """The run in progress, named as in Celery's ``task.request`` where that has it.

    pk: the row's primary key; None where there is no row: in an eager run, or outside
        of any.
    retries: how often the task was retried before. losses: how often it lost its worker.
    called_directly: the function was just called; there is no run.
    scheduled_at: the tick that a periodic task was sent for, in UTC; else None.
    """

    pk: int | None
    name: str
    queue: str
    retries: int = 0
    losses: int = 0
    is_eager: bool = False
    called_directly: bool = False
    scheduled_at: datetime.datetime | None = None

    @property
    def id(self) -> uuid.UUID | None:
        """The id that ``AsyncResult`` shows."""
        return None if self.pk is None else uuid.UUID(int=self.pk)


current: ContextVar[Request | None] = ContextVar("taskq_request", default=None)
