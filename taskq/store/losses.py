"""The table of losses, as keepers write it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from taskq import sql


class NewLoss(NamedTuple):
    """A row of the table; :class:`taskq.models.losses.Loss` explains the columns."""

    pool: str
    host: str
    worker: str
    pid: int
    task_id: int
    attempt: int
    name: str
    queue: str
    cause: str
    place: str
    stack: str
    memory: str
    runs: str
    version: str


class LossStore:
    """The part of :class:`taskq.store.tasks.TaskStore` that is about losses: ``store.losses``."""

    def __init__(self, connection: sql.Connection, vendor: str) -> None:
        self._connection = connection
        self._sql = sql.losses_of(vendor)

    def add(self, losses: Iterable[NewLoss]) -> None:
        """Write them, in one transaction."""
        self._connection.batch(*((self._sql.ADD, loss._asdict()) for loss in losses))

    def prune(self, ttl: float | None, limit: int) -> int:
        """Remove rows that are older than so many seconds, None for none, and at most ``limit``.
        Returns how many they were."""
        if ttl is None:
            return 0
        return self._connection.count(self._sql.PRUNE, {"ttl": ttl, "limit": limit})
