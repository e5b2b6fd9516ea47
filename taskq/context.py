"""What a running task can know of its own run."""

from __future__ import annotations

import uuid
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Request:
    """The run in progress, named as in Celery's ``task.request`` where that has it.

    id: None where there is no row: in an eager run, or outside of any.
    retries: how often the task was retried before. losses: how often it lost its worker.
    called_directly: the function was just called; there is no run.
    """

    id: uuid.UUID | None
    name: str
    queue: str
    retries: int = 0
    losses: int = 0
    is_eager: bool = False
    called_directly: bool = False


current: ContextVar[Request | None] = ContextVar("taskq_request", default=None)
