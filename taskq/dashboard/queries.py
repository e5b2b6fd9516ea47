"""What the pages ask the database. Nothing here grows with the number of tasks that wait, have
failed or are done."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass, field
from typing import Any, Literal

from django.db import connections
from django.db.models import F, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from taskq import conf, limits, pausing, sql, statistics
from taskq.dashboard.remembered import remembered
from taskq.dashboard.window import Scope, Window
from taskq.models import Loss, PausedQueue, RecentRun, Worker
from taskq.models.moment_field import Bounded, span
from taskq.overview import WORKERS, held_by_worker
from taskq.statistics import Figures
from taskq.task import registry
from taskq.task.progress import Progress
from taskq.task.queues import Queues
from taskq.task.registry import Definition

#: Seconds for which answers are good. A live part asks every two seconds.
FRESH = 1.5
#: The same for figures of a day and of a month, which read more rows.
LASTING = 10.0
#: The most lanes that are looked at.
MANY_LANES = 200
#: The most workers that died which are listed.
MANY_LOSSES = 20

#: The beginning of each step, and what ended in it.
Series = list[tuple[datetime.datetime, Figures]]


@dataclass(frozen=True)
class Amount:
    """A number that was counted up to a bound.

    more: There are more than these.
    """

    number: int = 0
    more: bool = False

    @classmethod
    def counted(cls, found: int, bound: int) -> Amount:
        return cls(min(found, bound), found > bound)

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.number + other.number, self.more or other.more)

    def __bool__(self) -> bool:
        return self.number > 0


@dataclass(frozen=True)
class Lane:
    """The waiting tasks of one queue and priority.

    Attributes:
        due: How many wait for a worker.
        later: How many wait for their time.
        waited: How many seconds the first has been due. Negative: so many until it is due.
        first: The id of the first task.
        name: The name of the first task.
        paused: Its queue is paused.
    """

    queue: str
    priority: int
    due: Amount
    later: Amount
    waited: float
    first: int
    name: str
    paused: bool


@dataclass(frozen=True)
class Waiting:
    """What waits, found by one query.

    lanes: the oldest due task first.
    stands_still: A workflow does not go on, because a step of it has failed.
    """

    lanes: list[Lane]
    stands_still: bool


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


def waiting(alias: str) -> Waiting:
    """What does not go on by itself."""
    return remembered.get(("waiting", alias), lambda: _waiting(alias), seconds=FRESH)


def lanes(alias: str) -> list[Lane]:
    """What waits, the oldest due task first."""
    return waiting(alias).lanes


def workers(alias: str) -> Workers:
    """The processes that run tasks, and what each of them runs."""
    return remembered.get(("workers", alias), lambda: _workers(alias), seconds=FRESH)


def series(alias: str, scope: Scope) -> Series:
    """The figures of the runs over the time that was chosen."""

    def ask() -> Series:
        window = scope.window
        return statistics.series(alias, since=window.since, every=window.every, **scope.filters)

    key = ("series", alias, scope, timezone.get_current_timezone_name())
    return remembered.get(key, ask, seconds=_seconds_for(scope))


def by(alias: str, scope: Scope, column: Literal["name", "queue"]) -> dict[str, Figures]:
    """The figures of each task name, or of each queue."""

    def ask() -> dict[str, Figures]:
        since = scope.window.since
        return statistics.figures(alias, since=since, by=column, **scope.filters)

    return remembered.get(("by", alias, scope, column), ask, seconds=_seconds_for(scope))


def pauses(alias: str) -> dict[str, PausedQueue]:
    """The paused queues, by name."""

    def ask() -> dict[str, PausedQueue]:
        return {pause.queue: pause for pause in pausing.paused(using=alias)}

    return remembered.get(("pauses", alias), ask, seconds=FRESH)


def recent(alias: str, **filters: Any) -> list[RecentRun]:
    """Some of the last runs, the newest first. filters: as of ``statistics.recent_runs()``."""
    key = ("recent", alias, tuple(sorted(filters.items())))
    return remembered.get(
        key, lambda: list(statistics.recent_runs(alias, **filters)), seconds=FRESH
    )


def known_queues() -> set[str]:
    """The default queue, and the queues that the tasks of this process name."""
    named = (definition.options.queue for definition in registry.definitions())
    return {limits.DEFAULT_QUEUE, *filter(None, named)}


def losses(alias: str) -> list[Loss]:
    """The last workers that died, the newest first."""

    def ask() -> list[Loss]:
        # By taskq_loss_at.
        return list(Loss.objects.using(alias).order_by("-at", "-pk")[:MANY_LOSSES])

    return remembered.get(("losses", alias), ask, seconds=FRESH)


def _seconds_for(scope: Scope) -> float:
    return FRESH if scope.window is Window.HOUR else LASTING


def _waiting(alias: str) -> Waiting:
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute(sql.depths_of(connection.vendor).DEPTHS, {"lanes": MANY_LANES})
        rows = cursor.fetchall()
    found = [
        Lane(
            queue=queue,
            priority=priority,
            due=Amount.counted(due, bound),
            later=Amount.counted(later, bound),
            # Without a value: SQLite may hold one that is no time.
            waited=-math.inf if waited is None else waited,
            first=first,
            name=name,
            paused=bool(paused),
        )
        for queue, priority, bound, due, later, waited, first, name, paused, _still in rows
        if queue is not None
    ]
    return Waiting(found, any(row[-1] for row in rows))


def _workers(alias: str) -> Workers:
    first, count = held_by_worker()
    held = {
        f"task_{column}": Subquery(first.values(column))
        for column in ("pk", "name", "queue", "attempt", "progress", "started_at", "cancelled_at")
    }
    rows = (
        Worker.objects.using(alias)
        .filter(name__startswith=WORKERS)
        .annotate(
            **held,
            left=span(Bounded(F("lease_expires_at")) - Now()),
            holds=Subquery(count),
            since=span(Now() - Bounded(F("task_started_at"))),
        )
    )
    found = [_running(row) for row in rows]
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
