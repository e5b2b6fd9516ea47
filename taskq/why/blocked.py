"""Why a step of a workflow is not running: it waits for other steps."""

from __future__ import annotations

from taskq.models import Edge, EdgeState, State, Task
from taskq.task.ids import TaskId
from taskq.why.reason import Code, Reason, counted, quoted

#: The most parts that the text names.
_NAMED = 5


def reasons(task: Task, alias: str) -> list[Reason]:
    """For which steps it waits, the failed ones first: those hold it up until a person acts."""
    edges = Edge.objects.using(alias).filter(step_id=task.pk, state=EdgeState.OPEN)
    waits_for = edges.count()
    ids = list(edges.order_by("place").values_list("part_id", flat=True)[:1000])
    failed = Task.objects.using(alias).filter(pk__in=ids, state=State.FAILED)
    found = [
        Reason(
            Code.BLOCKED,
            f"It is a step of workflow #{task.workflow_id}, and waits for {part.name} #{part.pk}, "
            f"which has failed: {quoted(part.error)}",
            f"Retry that one (manage.py taskq_retry {TaskId.of(part.pk)}), or cancel the workflow.",
            tasks=(part.pk,),
        )
        for part in failed.order_by("pk")[:_NAMED]
    ]
    if found:
        return found
    rows = Task.objects.using(alias).filter(pk__in=ids).order_by("pk")[:_NAMED]
    names = ", ".join(f"{part.name} #{part.pk}" for part in rows)
    return [
        Reason(
            Code.BLOCKED,
            f"It is a step of workflow #{task.workflow_id}, and waits for "
            f"{counted(waits_for, 'other step')}: {names or 'a keeper will see to it'}.",
            tasks=tuple(part.pk for part in rows),
        )
    ]
