"""The queue at a glance: how many tasks wait in each queue, and which workers run what.

All of it is read from the database, so it is the same on each host.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from django.db import connections
from django.db.models import (
    Count,
    F,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
)
from django.db.models.functions import Now

from taskq import pausing
from taskq.models import (
    SHOWN_WHEN,
    PausedQueue,
    ShownState,
    State,
    Task,
    TaskQuerySet,
    Worker,
)
from taskq.models.moment_field import Bounded, span
from taskq.sql.in_both import STANDS_STILL
from taskq.sql.traffic import FLOWS

#: Tasks that wait because a worker did not know their name.
_UNKNOWN = Q(unknown_since__isnull=False)
#: The most unknown names that are listed.
MANY_NAMES = 20
#: The name of the processes that run tasks, in the table of workers.
WORKERS = "worker"


@dataclass
class QueueLine:
    """A queue and its tasks.

    Attributes:
        queue: Its name.
        counts: How many tasks are in each state.
        oldest: How many seconds the first due task has waited.
        unknown: How many tasks wait because a worker did not know their names.
        pause: The pause; None when the queue is not paused.
    """

    queue: str
    counts: dict[ShownState, int] = field(default_factory=lambda: dict.fromkeys(ShownState, 0))
    oldest: float = 0.0
    unknown: int = 0
    pause: PausedQueue | None = None


@dataclass(frozen=True)
class WorkerLine:
    """A process that runs tasks.

    Attributes:
        worker: Its name, such as ``worker 3``.
        pool: The host and process id of its supervisor.
        pid: Its own process id.
        lease: Seconds that are left of its lease. Below 0 it has run out.
        holds: How many tasks it holds.
        id: The primary key of the first of them.
        name: The name of that task.
        seconds: How many seconds ago that task was claimed.
        serves: The queues of its pool, as ``-Q`` takes them; ``*`` is all. None: nobody knows.
    """

    worker: str
    pool: str
    pid: int
    lease: float
    holds: int
    id: int | None
    name: str | None
    seconds: float
    serves: str | None


@dataclass(frozen=True)
class Flow:
    """Tasks that came and went so far. at: the moment, by the monotonic clock."""

    came: int
    went: int
    at: float = field(default_factory=time.monotonic)

    def since(self, earlier: Flow) -> tuple[float, float]:
        """Tasks per second that came, and tasks per second that went."""
        seconds = max(self.at - earlier.at, 1e-3)
        return (self.came - earlier.came) / seconds, (self.went - earlier.went) / seconds


@dataclass(frozen=True)
class Overview:
    """What there is at one moment.

    Attributes:
        queues: In order of name.
        workers: The one with the longest run first, the idle ones last.
        unknown: The names that a worker did not know, and how many tasks of each wait. At most 20.
        stands_still: A workflow does not go on, because a step of it has failed.
    """

    queues: list[QueueLine]
    workers: list[WorkerLine]
    unknown: dict[str, int]
    stands_still: bool = False

    @property
    def alive(self) -> int:
        """The number of workers whose lease is good."""
        return sum(worker.lease > 0 for worker in self.workers)

    @property
    def busy(self) -> int:
        return sum(worker.holds > 0 for worker in self.workers if worker.lease > 0)

    @property
    def pools(self) -> int:
        return len({worker.pool for worker in self.workers if worker.lease > 0})

    def total(self, state: ShownState) -> int:
        return sum(queue.counts[state] for queue in self.queues)

    @property
    def oldest(self) -> float:
        """How many seconds the longest waiting of all due tasks has waited."""
        return max((queue.oldest for queue in self.queues), default=0.0)


def overview(alias: str) -> Overview:
    """Look at all queues and workers. With millions of tasks that wait or failed it takes a while.

    Args:
        alias: The alias of the database with the tasks.
    """
    queues = _queues(alias)
    unknown: dict[str, int] = {}
    if any(queue.unknown for queue in queues):  # else a second look at waiting tasks finds none
        for _queue, name, count in unknown_names(alias)[:MANY_NAMES]:
            unknown[name] = unknown.get(name, 0) + count
    return Overview(queues, workers(alias), unknown, _stands_still(alias))


def unknown_names(alias: str) -> list[tuple[str, str, int]]:
    """Queue, name and number of tasks that wait for a worker that knows them, most first."""
    waiting = Task.objects.using(alias).filter(_UNKNOWN, state=State.READY)
    counted = waiting.values("queue", "name").annotate(count=Count("pk")).order_by("-count", "name")
    return list(counted.values_list("queue", "name", "count"))


def flow(alias: str) -> Flow:
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute(FLOWS[connection.vendor])
        came, went = cursor.fetchone()
    return Flow(came, went)


def by_queue(tasks: TaskQuerySet) -> list[QuerySet[Any, Any]]:
    """A query for each state of the table, because each can then read that state's index alone."""
    return [_in_state(tasks, state) for state in State]


def _in_state(tasks: TaskQuerySet, state: State) -> QuerySet[Any, Any]:
    """For each queue, the number of tasks in each shown state of this state, by its name."""
    counts: dict[str, Any] = {
        shown.value: Count("pk", filter=when)
        for shown, when in SHOWN_WHEN.items()
        if ("state", state) in when.children
    }
    if state is State.READY:
        due = Min("execute_at", filter=SHOWN_WHEN[ShownState.PENDING])
        counts["oldest"] = span(Now() - Bounded(due))
        counts["unknown"] = Count("pk", filter=_UNKNOWN)
    return tasks.filter(state=state).values("queue").order_by("queue").annotate(**counts)


def held_by_worker() -> tuple[TaskQuerySet, QuerySet[Any, Any]]:
    """Subqueries for workers: the first task that each holds, and how many it holds."""
    # Subqueries probe taskq_task_running for each worker; a join would read all tasks.
    held = Task.objects.filter(worker=OuterRef("pk"), state=State.RUNNING)
    first = held.order_by("started_at", "execute_at", "pk")[:1]
    return first, held.order_by().values("worker").annotate(count=Count("pk")).values("count")


def rows_of_workers(alias: str, *columns: str) -> QuerySet[Any, Any]:
    """The workers, each with what is ``left`` of its lease, how many tasks it ``holds``, and how
    long ago it has claimed the first of them (``since``).

    columns: more of that task, as ``task_pk`` and so on.
    """
    first, count = held_by_worker()
    wanted = ("started_at", *columns)
    held = {f"task_{column}": Subquery(first.values(column)) for column in wanted}
    return (
        Worker.objects.using(alias)
        .filter(name__startswith=WORKERS)
        .annotate(
            **held,
            left=span(Bounded(F("lease_expires_at")) - Now()),
            holds=Subquery(count),
            since=span(Now() - Bounded(F("task_started_at"))),
        )
    )


def _stands_still(alias: str) -> bool:
    with connections[alias].cursor() as cursor:
        cursor.execute(f"SELECT {STANDS_STILL}")
        return bool(cursor.fetchone()[0])


def _queues(alias: str) -> list[QueueLine]:
    lines: dict[str, QueueLine] = {}
    for query in by_queue(Task.objects.using(alias)):
        for row in query:
            queue, oldest = row.pop("queue"), row.pop("oldest", None)
            line = lines.setdefault(queue, QueueLine(queue))
            line.unknown += row.pop("unknown", 0)
            line.counts.update({ShownState(name): count for name, count in row.items()})
            if oldest is not None:
                line.oldest = oldest.total_seconds()
    for pause in pausing.paused(using=alias):
        lines.setdefault(pause.queue, QueueLine(pause.queue)).pause = pause
    return [lines[name] for name in sorted(lines)]


def workers(alias: str) -> list[WorkerLine]:
    """The workers, the one with the longest run first, the idle ones last. Reads only what they
    hold, however many tasks wait.

    Args:
        alias: The alias of the database with the tasks.
    """
    lines = [
        WorkerLine(
            worker=row.name,
            pool=row.pool,
            pid=row.pid,
            lease=row.left.total_seconds() if row.left is not None else 0.0,
            holds=row.holds or 0,
            id=row.task_pk,
            name=row.task_name,
            seconds=row.since.total_seconds() if row.since is not None else 0.0,
            serves=row.serves,
        )
        for row in rows_of_workers(alias, "pk", "name")
    ]
    return sorted(lines, key=lambda line: (-line.seconds, line.pool, line.worker))
