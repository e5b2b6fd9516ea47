"""The requests for stacks, as keepers answer them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from taskq import sql

#: Seconds after which a request is removed that its caller has left.
LEFT_FOR = 3600.0


class Asked(NamedTuple):
    """A request. task: the id of the task that the worker must be running, 0 for any or none."""

    id: int
    worker: int
    task: int


class Answer(NamedTuple):
    """id: of the request. refusal: why there is no stack; empty where there is one."""

    id: int
    refusal: str = ""
    stack: str = ""


class StackStore:
    """The part of :class:`taskq.store.tasks.TaskStore` that is about stacks: ``store.stacks``."""

    def __init__(self, connection: sql.Connection, vendor: str) -> None:
        self._connection = connection
        self._sql = sql.stacks_of(vendor)

    def asked(self, workers: Sequence[int]) -> list[Asked]:
        """The open requests to workers with these leases."""
        rows = self._connection.rows(self._sql.ASKED, {"workers": list(workers)})
        return [Asked(*row) for row in rows]

    def answer(self, answers: Sequence[Answer]) -> None:
        """Write answers, in one transaction."""
        self._connection.batch(*((self._sql.ANSWER, answer._asdict()) for answer in answers))

    def prune(self, limit: int) -> int:
        """Remove what callers have left, at most ``limit`` rows. Returns how many they were."""
        return self._connection.count(self._sql.PRUNE, {"ttl": LEFT_FOR, "limit": limit})
