"""What pools have measured: how many runs ended in which way, how long they took and waited.

Pools count in memory and write a row a minute for each task name and queue. So these queries read
few rows, however many tasks ran or wait. The last seconds of a pool may be missing.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any, Literal

from django.db.models import DateTimeField, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce, Trunc
from django.utils import timezone

from taskq.models import RecentRun, Rollup
from taskq.models.statistics import Step
from taskq.sql.statistics import FIGURES
from taskq.task.measures import BUCKETS, End, Figures, total

__all__ = ["Every", "Figures", "figures", "recent_runs", "series", "total"]

#: Up to this age figures are summed from minutes, beyond it from hours.
_BY_MINUTES = datetime.timedelta(hours=3)
_HOUR = datetime.timedelta(hours=1)

_SUMS = {f"sum_{column}": Sum(column) for column in FIGURES}


class Every(IntEnum):
    """The time between two points of a series, in seconds."""

    MINUTE = 60
    HOUR = 3600
    DAY = 86400


def figures(
    alias: str,
    *,
    since: datetime.datetime,
    by: Literal["name", "queue"] = "name",
    name: str | None = None,
    queue: str | None = None,
) -> dict[str, Figures]:
    """The figures of all runs that ended since a moment, by task name or by queue.

    Args:
        alias: The alias of the database with the tasks.
        since: An aware datetime. It is rounded to a whole minute; one more than three hours ago
            to a whole hour.
        by: What to group by.
        name: Only runs of this task.
        queue: Only runs of tasks in this queue.
    """
    rows = _rolled_up(alias, since, name, queue).order_by().values_list(by).annotate(**_SUMS)
    return {key: _figures(sums) for key, *sums in rows}


def series(
    alias: str,
    *,
    since: datetime.datetime,
    every: Every = Every.MINUTE,
    name: str | None = None,
    queue: str | None = None,
) -> list[tuple[datetime.datetime, Figures]]:
    """The figures of runs over time: the beginning of each step, in the current time zone, and what
    ended in it. Steps without any run are there too.

    Args:
        alias: The alias of the database with the tasks.
        since: An aware datetime, in the first step.
        every: The length of a step. Minutes are kept for TASKQ["MINUTES_TTL"].
        name: Only runs of this task.
        queue: Only runs of tasks in this queue.
    """
    kind = every.name.lower()
    zone = timezone.get_current_timezone()
    begins = Trunc("at", kind, output_field=DateTimeField(), tzinfo=zone)
    rolled = _rolled_up(alias, since, name, queue, by_minutes=every is Every.MINUTE)
    rows = rolled.order_by().annotate(begins=begins).values_list("begins").annotate(**_SUMS)
    found = {at: _figures(sums) for at, *sums in rows}
    return [(at, found.get(at) or Figures()) for at in _steps(since.astimezone(zone), every)]


def recent_runs(
    alias: str,
    *,
    name: str | None = None,
    ends: Iterable[End] = (),
    slower: float | None = None,
    limit: int = 50,
) -> QuerySet[RecentRun]:
    """Some of the last runs, the newest first. Not each run is kept: see TASKQ["RECENT_RUNS"].

    Args:
        alias: The alias of the database with the tasks.
        name: Only runs of this task.
        ends: Only runs that ended like this; empty for all.
        slower: Only runs that took at least so many seconds.
        limit: The number of runs at most.
    """
    runs = RecentRun.objects.using(alias).order_by("-started_at", "-id")
    if name is not None:
        runs = runs.filter(name=name)
    if ends := list(ends):
        runs = runs.filter(end__in=ends)
    if slower is not None:
        runs = runs.filter(seconds__gte=slower)
    return runs[:limit]


def _rolled_up(
    alias: str,
    since: datetime.datetime,
    name: str | None,
    queue: str | None,
    *,
    by_minutes: bool = False,
) -> QuerySet[Rollup]:
    """The rows that cover the time since then, each run in one of them."""
    now = timezone.now()
    # The clock of a pool may be ahead by some minutes. Later times are written by hand.
    rows = Rollup.objects.using(alias).filter(at__lt=now + _HOUR)
    if by_minutes or now - since <= _BY_MINUTES:
        rows = rows.filter(step=Step.MINUTE, at__gte=since.replace(second=0, microsecond=0))
    else:
        since = since.replace(minute=0, second=0, microsecond=0)
        hours = Q(step=Step.HOUR, at__gte=since)
        # The minutes of the last hours are not summed up yet.
        last = Subquery(rows.filter(hours).order_by("-at").values("at")[:1])
        minutes = Coalesce(last + _HOUR, Value(since), output_field=DateTimeField())
        rows = rows.filter(hours | Q(step=Step.MINUTE, at__gte=minutes))
    if name is not None:
        rows = rows.filter(name=name)
    if queue is not None:
        rows = rows.filter(queue=queue)
    return rows


def _figures(sums: Sequence[Any]) -> Figures:
    """The figures of a row of sums, in the order of _SUMS."""
    done, failed, retried, lost, cancelled, ran, waited, *buckets = sums
    run, wait = buckets[:BUCKETS], buckets[BUCKETS:]
    return Figures(done, failed, retried, lost, cancelled, ran, waited, run, wait)


def _steps(since: datetime.datetime, every: Every) -> list[datetime.datetime]:
    at, now, steps = since.replace(second=0, microsecond=0), timezone.now(), []
    if every > Every.MINUTE:
        at = at.replace(minute=0)
    if every > Every.HOUR:
        at = at.replace(hour=0)
    while at <= now:
        steps.append(at)
        if every is Every.DAY:  # by the calendar: a day may have 23 or 25 hours
            at += datetime.timedelta(days=1)
        else:
            later = at.astimezone(datetime.UTC) + datetime.timedelta(seconds=every)
            at = later.astimezone(at.tzinfo)
    return steps
