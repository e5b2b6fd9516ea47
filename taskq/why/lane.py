"""How many tasks start before another one, and how soon."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from typing import Any

from django.db import connections

from taskq import sql
from taskq.models import Task
from taskq.overview import WorkerLine
from taskq.sql.backlog import BEFORE
from taskq.statistics import figures
from taskq.store.claims import Lane
from taskq.why.pools import serves
from taskq.why.reason import Code, Reason, counted, later, moment, quoted

#: The most tasks that are counted in a lane. More take too long to count for a page.
MANY = 10_000
#: The most lanes that are counted, the most urgent first.
_LANES = 10
#: The most of them that a sentence names.
_NAMED = 3
#: Over how many seconds the pace is measured: of the last minutes, or for slow work of the last
#: hour.
_WINDOWS = (120, 3600)


_ADVICE = (
    "Start more workers (-c, or a pool on another host), or send urgent tasks with a higher "
    "priority."
)


def before(
    task: Task, serving: Sequence[WorkerLine], alias: str, now: datetime.datetime
) -> Reason | None:
    """The reason, if other tasks start before this one, which is due.

    serving: the workers that serve its queue. Other queues count as far as one of them serves
    those too.
    """
    own = (task.queue, task.priority)
    counts = _counts(task, _lanes(task, serving, alias), alias)
    counts = {lane: count for lane, count in counts.items() if count}
    if not counts:
        return None
    parts = []
    if here := counts.pop(own, 0):
        parts.append(f"{_many(here)} of its queue and priority")
    if counts:
        parts.append(f"{_many(sum(counts.values()))} of other lanes ({_named([*counts])})")
    text = f"Before it in line: {', and '.join(parts)}."
    pace = _pace([queue for queue, _ in (own, *counts)], alias, now)
    if pace is None:
        text += " No task of these queues ended in the last hour."
        return Reason(Code.BEHIND, text, _ADVICE)
    until = now + datetime.timedelta(seconds=(here + sum(counts.values())) / pace)
    about = "not before" if max(here, *counts.values(), 0) >= MANY else "about"
    text += f" At {_per_time(pace)} it starts {about} {moment(until)} ({later(until, now)})."
    return Reason(Code.BEHIND, text, _ADVICE, until)


def _named(lanes: list[tuple[str, int]]) -> str:
    shown = [f"{quoted(queue)} at priority {priority}" for queue, priority in lanes[:_NAMED]]
    more = len(lanes) - _NAMED
    return ", ".join([*shown, *([f"and {more} more"] if more > 0 else [])])


def _lanes(task: Task, serving: Sequence[WorkerLine], alias: str) -> list[tuple[str, int]]:
    """The lanes from which the same workers claim before, or beside, this task's lane."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute(sql.claims_of(connection.vendor).LANES, {"queues": None})
        found = [Lane(*row) for row in cursor.fetchall()]
    own = (task.queue, task.priority)
    urgent = [
        (lane.queue, lane.priority)
        for lane in found
        if lane.wait <= 0
        and lane.priority >= task.priority
        and any(serves(worker, lane.queue) for worker in serving)
    ]
    return [own, *[lane for lane in urgent if lane != own][: _LANES - 1]]


def _counts(task: Task, lanes: list[tuple[str, int]], alias: str) -> dict[tuple[str, int], int]:
    connection = connections[alias]
    values: dict[str, Any] = {"id": task.pk, "lanes": json.dumps(lanes), "limit": MANY}
    with connection.cursor() as cursor:
        cursor.execute(BEFORE[connection.vendor], values)
        return {(queue, priority): count for queue, priority, count in cursor.fetchall()}


def _pace(queues: list[str], alias: str, now: datetime.datetime) -> float | None:
    """Tasks of these queues that ended in a second. None if none did in the last hour."""
    for window in _WINDOWS:
        since = (now - datetime.timedelta(seconds=window)).replace(second=0, microsecond=0)
        ended = figures(alias, since=since, by="queue")
        if runs := sum(ended[queue].runs for queue in {*queues} & ended.keys()):
            return runs / (now - since).total_seconds()
    return None


def _many(count: int) -> str:
    return f"at least {MANY:,} tasks" if count >= MANY else counted(count, "task")


def _per_time(pace: float) -> str:
    """A pace as people read it: tasks per second, minute or hour."""
    for seconds, unit in ((1, "second"), (60, "minute")):
        if pace * seconds >= 1:
            return f"{pace * seconds:,.1f} tasks per {unit}"
    return f"{pace * 3600:,.1f} tasks per hour"
