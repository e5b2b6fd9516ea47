"""Looking for results: of one task, of many at once, and again until there is one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields

from django.db import router
from django.db.models import QuerySet

from taskq import lazy_models
from taskq.lookup import Known, look_up_many
from taskq.task import ids
from taskq.task.states import On, State
from taskq.workflow.lookup import failed_parts

#: Seconds between two looks for a result: at first, and at most. In between it is this part of the
#: time waited so far.
FIRST_LOOK, LAST_LOOK, LATE = 0.01, 0.5, 0.02


def looks(timeout: float | None, what: Callable[[], str]) -> Iterator[None]:
    """Comes back for each look. The first is at once.

    timeout: seconds; None is for ever.
    what: names that which is waited for.

    Raises TimeoutError when there is no time for another look.
    """
    began = time.monotonic()
    until = None if timeout is None else began + timeout
    while True:
        yield
        now = time.monotonic()
        if until is not None and now >= until:
            raise TimeoutError(f"{what()} is not done after {timeout:g} s")
        pause = min(max(FIRST_LOOK, LATE * (now - began)), LAST_LOOK)
        time.sleep(pause if until is None else min(pause, until - now))


@dataclass(frozen=True, kw_only=True)
class Stuck(Known):
    """A step of a workflow that waits in vain: a part before it has failed.

    It counts as failed, until a person retries that part.

    Attributes:
        part: The part that has failed.
        joins: Whether the step waits for several parts, as the body of a chord does.
    """

    part: Known
    joins: bool


def known_of(pk: int, using: str | None) -> Known | None:
    """What is known of the task with this primary key."""
    return known_of_many([pk], using).get(pk)


def known_of_many(pks: Iterable[int], using: str | None) -> dict[int, Known]:
    """What is known of each of these tasks, by few queries. What is not known is left out."""
    found = look_up_many((pk for pk in pks if pk < ids.TOO_LARGE), using)
    for pk, known in found.items():
        if known.state is State.BLOCKED and (parts := failed_parts(pk, using)):
            found[pk] = _stuck(known, parts[0], using)
    return found


def _stuck(known: Known, part: Known, using: str | None) -> Stuck:
    values = {field.name: getattr(known, field.name) for field in fields(Known)}
    values |= {
        "state": State.FAILED,
        "error": part.error,
        "traceback": part.traceback,
        "finished_at": part.finished_at,
        "cancelled": part.cancelled,
    }
    edges = _edges(using).filter(step_id=known.id).exclude(waits_for__in=(On.FAILED, On.ENDED))
    return Stuck(**values, part=part, joins=len(edges.values_list("part_id").distinct()[:2]) > 1)


def behind(pk: int, using: str | None) -> list[int]:
    """The primary keys of the steps that wait for this task to be done."""
    edges = _edges(using).filter(part_id=pk).exclude(waits_for=On.FAILED)
    return list(edges.values_list("step_id", flat=True).distinct().order_by("step_id"))


def _edges(using: str | None) -> QuerySet[lazy_models.Edge]:
    return lazy_models.Edge.objects.using(using or router.db_for_write(lazy_models.Task))
