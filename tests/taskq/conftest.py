"""Leases without a pool: workers registered by hand, tasks claimed by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from taskq import leases
from taskq.leases import Claimed, Leases
from taskq.queues import Queues


@pytest.fixture
def connect(transactional_db: None) -> Iterator[Callable[[], Leases]]:
    """Open connections of the queue's own, as the processes of a pool do."""
    opened: list[Leases] = []

    def open_one() -> Leases:
        opened.append(leases.connect("default", lease=30))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


@pytest.fixture
def db_leases(connect: Callable[[], Leases]) -> Leases:
    return connect()


class HandWorker:
    """A worker that a test moves by hand."""

    def __init__(self, db: Leases, *, lease: float = 30.0, pid: int = 1) -> None:
        self.db = db
        self.id = db.register("host:1", "host", [(f"worker {pid}", pid)], lease)[pid]

    def claim(self, limit: int = 1, quick: tuple[str, ...] = (), queues: str = "") -> list[Claimed]:
        for lane in self.db.lanes(Queues.parse(queues)):
            if lane.wait <= 0 and (tasks := self.db.claim(self.id, lane, limit, quick)):
                return tasks
        return []

    def claim_one(self) -> Claimed:
        (task,) = self.claim()
        return task


@pytest.fixture
def worker(db_leases: Leases) -> HandWorker:
    return HandWorker(db_leases)


@pytest.fixture
def new_worker(db_leases: Leases) -> Callable[..., HandWorker]:
    def make(pid: int = 2, lease: float = 30.0) -> HandWorker:
        return HandWorker(db_leases, pid=pid, lease=lease)

    return make
