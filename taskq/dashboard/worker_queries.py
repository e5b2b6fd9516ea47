"""What the pages ask the database about the processes that run tasks, and about those that died.
Nothing here grows with the number of tasks."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any

from taskq import conf
from taskq.dashboard.queries import FRESH
from taskq.dashboard.remembered import remembered
from taskq.models import Loss
from taskq.overview import rows_of_workers
from taskq.task import registry
from taskq.task.progress import Progress
from taskq.task.queues import Queues
from taskq.task.registry import Definition

#: The most workers that died which are listed.
MANY_LOSSES = 20


@dataclass(frozen=True)
class Running:
    """A worker, and the task that it runs.

    Attributes:
        serves: The queues of its pool, as ``-Q`` takes them. None: nobody knows.
        lease: Seconds that are left of its lease. Below 0 it has run out.
        holds: How many tasks it holds.
        id: The primary key of the one that it runs. None: it is idle.
        seconds: How many seconds ago that one was claimed.
        limit: Seconds after which its worker is killed. None: there is no limit, or this process
            does not know the task.
        cancelled: It was asked to end.
    """

    worker: str
    pool: str
    host: str
    pid: int
    started_at: datetime.datetime | None
    serves: str | None
    lease: float
    holds: int
    id: int | None = None
    name: str = ""
    queue: str = ""
    seconds: float = 0.0
    progress: Progress | None = None
    limit: float | None = None
    cancelled: bool = False

    @property
    def alive(self) -> bool:
        return self.lease > 0

    def admits(self, queue: str) -> bool:
        """Whether it serves this queue, as far as is known."""
        try:
            return self.serves is None or Queues.parse(self.serves).admit(queue)
        except ValueError:  # somebody wrote the column by hand
            return True


@dataclass
class Workers:
    """The processes that run tasks: the one with the longest run first, the idle ones last."""

    all: list[Running] = field(default_factory=list)

    @property
    def alive(self) -> int:
        return sum(worker.alive for worker in self.all)

    @property
    def running(self) -> list[Running]:
        return [worker for worker in self.all if worker.id is not None]

    @property
    def pools(self) -> int:
        return len({worker.pool for worker in self.all if worker.alive})


def workers(alias: str) -> Workers:
    """The processes that run tasks, and what each of them runs."""
    return remembered.get(("workers", alias), lambda: _workers(alias), seconds=FRESH)


def losses(alias: str) -> list[Loss]:
    """The last workers that died, the newest first."""

    def ask() -> list[Loss]:
        # By taskq_loss_at.
        return list(Loss.objects.using(alias).order_by("-at", "-pk")[:MANY_LOSSES])

    return remembered.get(("losses", alias), ask, seconds=FRESH)


def _workers(alias: str) -> Workers:
    columns = ("pk", "name", "queue", "attempt", "progress", "cancelled_at")
    found = [_running(row) for row in rows_of_workers(alias, *columns)]
    found.sort(key=lambda each: (each.id is None, -each.seconds, each.pool, each.worker))
    return Workers(found)


def _running(row: Any) -> Running:
    common = {
        "worker": row.name,
        "pool": row.pool,
        "host": row.host,
        "pid": row.pid,
        "started_at": row.started_at,
        "serves": row.serves,
        "lease": row.left.total_seconds() if row.left is not None else 0.0,
        "holds": row.holds or 0,
    }
    if row.task_pk is None:
        return Running(**common)
    definition = registry.find(row.task_name)
    return Running(
        **common,
        id=row.task_pk,
        name=row.task_name,
        queue=row.task_queue,
        seconds=max(row.since.total_seconds(), 0.0) if row.since is not None else 0.0,
        progress=Progress.read(row.task_progress, row.task_attempt),
        limit=_limit(definition) if definition is not None else None,
        cancelled=row.task_cancelled_at is not None,
    )


def _limit(definition: Definition) -> float | None:
    return definition.options.time_limit or conf.settings().time_limit
