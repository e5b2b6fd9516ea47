"""A task that a worker holds, and a run of it."""

from __future__ import annotations

import datetime
from typing import NamedTuple

#: A run of a task: its id, and the attempt that the claim made of it.
Run = tuple[int, int]


class Claimed(NamedTuple):
    """A task that a worker holds."""

    id: int
    attempt: int
    name: str
    payload: str
    queue: str
    retries: int
    losses: int
    alone: bool  # never in a batch, and written at once: see max_losses and isolated of its row
    expired: bool
    unknown_for: float | None  # seconds since a worker first did not know it
    waited: float  # seconds from its due time to the claim
    scheduled_at: datetime.datetime | str | None  # the tick it is for; SQLite has it as text
    # Only of names that the claim describes.
    priority: int | None = None
    created_at: str | None = None
    run_after: str | None = None
    started_at: str | None = None
    history: str | None = None
    # Of a step of a workflow: the workflow's id, whether its value is passed on, and its inputs.
    step: str | None = None

    @property
    def run(self) -> Run:
        return self.id, self.attempt
