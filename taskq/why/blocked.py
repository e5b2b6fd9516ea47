"""Why a step of a workflow is not running: it waits for other steps."""

from __future__ import annotations

from django.db.models import Case, When

from taskq.models import Edge, EdgeState, State, Task
from taskq.task.ids import TaskId
from taskq.why.reason import Code, Reason, counted, quoted

#: The most parts that the text names, and the most that are looked at.
_NAMED, _LOOKED_AT = 5, 1000


def reasons(task: Task, alias: str) -> list[Reason]:
    """For which steps it waits, the failed ones first: those hold it up until a person acts."""
    edges = Edge.objects.using(alias).filter(step_id=task.pk, state=EdgeState.OPEN)
    # By taskq_edge_open, and then the primary keys.
    ids = list(edges.order_by("place").values_list("part_id", flat=True)[: _LOOKED_AT + 1])
    parts = Task.objects.using(alias).filter(pk__in=ids[:_LOOKED_AT]).only("name", "state", "error")
    fails_first = Case(When(state=State.FAILED, then=0), default=1)
    found = list(parts.order_by(fails_first, "pk")[:_NAMED])
    if failed := [part for part in found if part.state == State.FAILED]:
        return [_failed(task, part) for part in failed]
    names = ", ".join(f"{part.name} #{part.pk}" for part in found)
    many = counted(len(ids), "other step")
    if len(ids) > _LOOKED_AT:
        many = f"more than {counted(_LOOKED_AT, 'other step')}"
    return [
        Reason(
            Code.BLOCKED,
            f"It is a step of workflow #{task.workflow_id}, and waits for {many}: "
            f"{names or 'a keeper will see to it'}.",
            tasks=tuple(part.pk for part in found),
        )
    ]


def _failed(task: Task, part: Task) -> Reason:
    return Reason(
        Code.BLOCKED,
        f"It is a step of workflow #{task.workflow_id}, and waits for {part.name} #{part.pk}, "
        f"which has failed: {quoted(part.error)}",
        f"Retry that one (manage.py taskq_retry {TaskId.of(part.pk)}), or cancel the workflow.",
        tasks=(part.pk,),
    )
