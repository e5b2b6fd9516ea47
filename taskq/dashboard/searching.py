"""Tasks by id, name, queue, or a text in their arguments or errors; workflows by number or name.

A text is in no index. So it is looked for in the newest rows of each table, however large that is.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Substr
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from taskq import readable
from taskq.limits import QUEUE_LENGTH
from taskq.models import FinishedTask, RecentRun, Result, SentWorkflow, State, Task
from taskq.models.declared_columns import AsText
from taskq.task import ids, registry

#: The newest rows of a table in which a text is looked for.
NEWEST = 5_000
#: The most that is found in a table.
MANY = 50


@dataclass(frozen=True)
class Hit:
    """A task. at: when it was sent, started or done. text: its arguments or its error, in short."""

    id: int
    name: str
    queue: str
    at: datetime.datetime | None
    text: str


@dataclass
class Found:
    """What was found in one table. more: there is more of it than is shown. workflows: the hits are
    workflows."""

    title: str | Promise
    hits: list[Hit] = field(default_factory=list)
    more: bool = False
    workflows: bool = False


def search(alias: str, text: str) -> list[Found]:
    """Look for a text in all tables that have tasks. What finds nothing is left out."""
    found = [
        Found(_("By id"), list(_by_id(text))),
        _workflows(alias, text),
        _found(_("Waiting in the queue of this name"), _in_queue(alias, text)),
        _found(_("Tasks"), _tasks(alias, text)),
        _found(_("Failed tasks"), _failed(alias, text)),
        _found(_("Results"), _ended(Result.objects.using(alias), text)),
        _found(_("Finished tasks"), _ended(FinishedTask.objects.using(alias), text)),
        _found(_("Recent runs of this name"), _runs(alias, text)),
    ]
    return [each for each in found if each.hits]


def _by_id(text: str) -> Iterator[Hit]:
    try:
        id = ids.parse(text)
    except ValueError:
        return
    if id < ids.TOO_LARGE:  # its page says what is known of it
        yield Hit(id, "", "", None, "")


def _workflows(alias: str, text: str) -> Found:
    """By number, and by a part of the name among the newest, by primary key."""
    rows = SentWorkflow.objects.using(alias)
    oldest = rows.order_by("-pk").values_list("pk", flat=True)[NEWEST : NEWEST + 1].first()
    hit = Q(name__icontains=text, pk__gt=oldest or 0)
    number = text.removeprefix("#")
    if number.isdecimal() and int(number) < ids.TOO_LARGE:
        hit |= Q(pk=int(number))
    found = list(rows.filter(hit).only("pk", "name", "created_at").order_by("-pk")[: MANY + 1])
    hits = [Hit(row.pk, row.name, "", row.created_at, "") for row in found[:MANY]]
    return Found(_("Workflows"), hits, len(found) > MANY, workflows=True)


def _in_queue(alias: str, text: str) -> QuerySet[Any]:
    """By taskq_task_ready, in the order of claims."""
    tasks = Task.objects.using(alias)
    if len(text) > QUEUE_LENGTH:
        return tasks.none()
    waiting = tasks.filter(state=State.READY, queue=text)
    return _texts(waiting, "execute_at").order_by("-priority", "execute_at", "pk")


def _tasks(alias: str, text: str) -> QuerySet[Any]:
    """Among the newest tasks, by primary key."""
    tasks = Task.objects.using(alias)
    oldest = tasks.order_by("-pk").values_list("pk", flat=True)[NEWEST : NEWEST + 1].first()
    newest = tasks if oldest is None else tasks.filter(pk__gt=oldest)
    named = Q(name__icontains=text) | Q(error__icontains=text)
    return _texts(newest.filter(named | _in_arguments(text)), "created_at").order_by("-pk")


def _failed(alias: str, text: str) -> QuerySet[Any]:
    """Among those that failed last, by taskq_task_failed: they may have been sent long ago."""
    failed = Task.objects.using(alias).filter(state=State.FAILED, failed_at__isnull=False)
    newest = _since(failed, "failed_at")
    hit = Q(name__icontains=text) | Q(error__icontains=text)
    return _texts(newest.filter(hit), "failed_at").order_by("-failed_at")


def _ended(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    """Among what was done last, by taskq_result_finished or taskq_finished_at."""
    newest = _since(rows, "finished_at")
    hit = Q(name__icontains=text) | _in_arguments(text)
    return _texts(newest.filter(hit), "finished_at").order_by("-finished_at")


def _runs(alias: str, text: str) -> QuerySet[Any]:
    """By taskq_recentrun_name."""
    return RecentRun.objects.using(alias).filter(name=text).order_by("-started_at")


def _since(rows: QuerySet[Any], column: str) -> QuerySet[Any]:
    """The newest rows, by the index of this column."""
    ordered = rows.order_by(f"-{column}").only(column)
    oldest = next(iter(ordered[NEWEST : NEWEST + 1]), None)
    return rows if oldest is None else rows.filter(**{f"{column}__gte": getattr(oldest, column)})


def _in_arguments(text: str) -> Q:
    """Arguments with the text, as it is or as JSON writes it. Those of tasks with sensitive ones
    are not searched: a search that finds something would tell the value."""
    sensitive = [each.name for each in registry.definitions() if each.options.sensitive]
    found = Q(payload__icontains=text) | Q(payload__icontains=json.dumps(text)[1:-1])
    return found & ~Q(name__in=sensitive)


def _texts(rows: QuerySet[Any], at: str) -> QuerySet[Any]:
    """The columns that a hit shows."""
    shown = rows.only("pk", "name", "queue", at)
    starts = {"payload_start": Substr(AsText("payload"), 1, readable.FETCHED)}
    if rows.model is Task:
        starts["error_start"] = Substr(AsText("error"), 1, readable.FETCHED)
    found: QuerySet[Any] = shown.annotate(**starts)
    return found


def _found(title: str | Promise, rows: QuerySet[Any]) -> Found:
    found = list(rows[: MANY + 1])
    return Found(title, [_hit(row) for row in found[:MANY]], len(found) > MANY)


def _hit(row: Any) -> Hit:
    if isinstance(row, RecentRun):
        return Hit(row.task_id, row.name, row.queue, row.started_at, "")
    times = ("failed_at", "finished_at", "created_at", "execute_at")
    loaded = [each for each in times if each in row.__dict__]
    at = getattr(row, loaded[0]) if loaded else None
    error = getattr(row, "error_start", "")
    text = readable.first_line(error) if error else readable.in_a_line(row.payload_start, row.name)
    return Hit(row.pk, row.name, row.queue, at, text)
