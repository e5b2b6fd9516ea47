"""What the pages ask the database about tasks and runs. Nothing here grows with the number of tasks
that wait, have failed or are done."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from typing import Any, Literal

from django.db import connections
from django.utils import timezone

from taskq import limits, pausing, sql, statistics
from taskq.dashboard.remembered import remembered
from taskq.dashboard.window import Scope, Window
from taskq.models import PausedQueue, RecentRun
from taskq.statistics import Figures
from taskq.task import registry

#: Seconds for which answers are good. A live part asks every two seconds.
FRESH = 1.5
#: The same for figures of a day and of a month, which read more rows.
LASTING = 10.0
#: The most lanes that are looked at.
MANY_LANES = 200

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


def waiting(alias: str) -> Waiting:
    """What does not go on by itself."""
    return remembered.get(("waiting", alias), lambda: _waiting(alias), seconds=FRESH)


def lanes(alias: str) -> list[Lane]:
    """What waits, the oldest due task first."""
    return waiting(alias).lanes


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
