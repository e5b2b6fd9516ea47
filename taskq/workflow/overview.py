"""Workflows at a glance: those that stand still, those that go on, and those that are over.

Each query is a look-up by an index, or a count that stops at a limit.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import BooleanField, IntegerField, QuerySet
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext_lazy as _

from taskq.models import SentWorkflow, State, Task

#: Steps that are left are counted up to this number, and failed ones too.
COUNTED = 1000
#: The newest failed steps whose workflows are looked at.
FAILURES = 5000

# By taskq_task_workflow, and they lock nothing. For EXISTS, the server might read all steps into a
# hash.
_SOME = (
    "(SELECT count(*) FROM (SELECT 1 FROM taskq_task AS step "
    f"WHERE step.workflow_id = taskq_workflow.id%s LIMIT {COUNTED + 1}) AS counted)"
)
_LEFT = _SOME % ""
_MOVES = (
    "((SELECT 1 FROM taskq_task AS step WHERE step.workflow_id = taskq_workflow.id "
    "AND step.state IN (0, 1) LIMIT 1) IS NOT NULL)"
)
_FAILED = _SOME % " AND step.state = 2 AND step.cancelled_at IS NULL"

#: The columns that a list needs. The others are as long as the workflow is large.
_SHORT = ("pk", "name", "size", "created_at", "deadline", "cancelled_at", "finished_at")


class Course(models.TextChoices):
    """How a workflow stands as a whole."""

    STILL = "still", _("stands still")
    RUNNING = "running", _("goes on")
    CANCELLED = "cancelled", _("cancelled")
    DONE = "done", _("done")


def with_steps(workflows: QuerySet[SentWorkflow]) -> QuerySet[Any]:
    """Each with ``left`` and ``failed``, its steps that are left and those of them that failed, and
    ``moves``: a step is due, waits for its time, or runs. Both numbers stop at one above COUNTED.
    """
    found: QuerySet[Any] = workflows.only(*_SHORT).annotate(
        left=RawSQL(_LEFT, (), output_field=IntegerField()),
        failed=RawSQL(_FAILED, (), output_field=IntegerField()),
        moves=RawSQL(_MOVES, (), output_field=BooleanField()),
    )
    return found


def course(workflow: Any) -> Course:
    """How it stands. workflow: one of :func:`with_steps`."""
    if workflow.cancelled_at is not None and not workflow.moves:
        return Course.CANCELLED
    if workflow.finished_at is not None or not workflow.left:
        return Course.DONE
    return Course.STILL if workflow.failed and not workflow.moves else Course.RUNNING


def standing_still(alias: str) -> QuerySet[Any]:
    """Workflows that do not go on because steps have failed, the newest first.

    They are found by their failed steps, the newest of them, by taskq_task_step_failed.
    """
    tasks = Task.objects.using(alias)
    failed = tasks.filter(state=State.FAILED, workflow__isnull=False, cancelled_at=None)
    newest = failed.order_by("-workflow").values("workflow")[:FAILURES]
    opened = SentWorkflow.objects.using(alias).filter(
        pk__in=newest, finished_at=None, cancelled_at=None
    )
    return with_steps(opened).filter(moves=False).order_by("-pk")


def open_ones(alias: str) -> QuerySet[Any]:
    """Those that have not ended, the newest first, by taskq_workflow_open."""
    opened = SentWorkflow.objects.using(alias).filter(finished_at=None)
    return with_steps(opened).order_by("-pk")


def ended(alias: str) -> QuerySet[Any]:
    """Those that have ended, the last one first, by taskq_workflow_finished."""
    over = SentWorkflow.objects.using(alias).filter(finished_at__isnull=False)
    return with_steps(over).order_by("-finished_at")
