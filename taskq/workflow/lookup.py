"""What is known of the steps for which another one waits."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import router

from taskq import lazy_models
from taskq.lookup import Known, look_up_many
from taskq.task.states import EdgeState, On, State

#: How many waiting steps a look follows back.
MOST = 10_000


def failed_parts(id: int, using: str | None = None) -> list[Known]:
    """The failed tasks for which a step waits, directly or through others, in order of id.

    Args:
        id: The primary key of the step.
        using: The alias of the database. By default the router decides.
    """
    alias = using or router.db_for_write(lazy_models.Task)
    tasks = lazy_models.Task.objects.using(alias)
    failed: set[int] = set()
    seen, waiting = {id}, [id]
    while waiting and len(seen) < MOST:
        parts = set(_parts(waiting, alias)) - seen
        seen |= parts
        rows = tasks.filter(pk__in=parts).values_list("pk", "state")
        states = dict(rows)
        failed |= {pk for pk, state in states.items() if state == State.FAILED}
        waiting = [pk for pk, state in states.items() if state == State.BLOCKED]
    found = look_up_many(failed, alias)
    return [known for _, known in sorted(found.items()) if known.state is State.FAILED]


def _parts(steps: Iterable[int], alias: str) -> Iterable[int]:
    edges = lazy_models.Edge.objects.using(alias).filter(step_id__in=steps, state=EdgeState.OPEN)
    return edges.exclude(waits_for=On.FAILED).values_list("part_id", flat=True)
