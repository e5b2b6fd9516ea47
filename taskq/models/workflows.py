"""The tables of workflows that were sent: the workflow, and what its steps wait for."""

from __future__ import annotations

import json

from django.db import models, router, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from taskq.limits import NAME_LENGTH
from taskq.models.declared_columns import read_as_declared
from taskq.models.moment_field import MomentField
from taskq.models.tasks import Task
from taskq.querysets import Cancelled, TaskQuerySet
from taskq.task.states import EdgeState, On, State


@read_as_declared
class SentWorkflow(models.Model):
    """A workflow that was sent. Its steps are tasks, which name it while their rows exist.

    Nothing of it is written while its steps run. A keeper notes the end once no step is left.
    """

    name = models.CharField(_("name"), max_length=NAME_LENGTH, db_default="", blank=True)
    # The steps as they were sent, the edges between them, and the ids of the steps' tasks: JSON.
    steps = models.TextField(_("steps"), help_text=_("encoded"))
    edges = models.TextField(_("edges"), help_text=_("encoded"))
    tasks = models.TextField(_("ids of the tasks"), help_text=_("encoded"))
    size = models.IntegerField(_("number of steps"), db_default=0)
    created_at = MomentField(_("created at"), db_default=Now())
    deadline = MomentField(
        _("deadline"), null=True, blank=True, help_text=_("not ended by then, it is cancelled")
    )
    cancelled_at = MomentField(_("cancelled at"), null=True, blank=True)
    finished_at = MomentField(
        _("finished at"), null=True, blank=True, help_text=_("a keeper found no step left")
    )

    class Meta:
        verbose_name = _("workflow")
        verbose_name_plural = _("workflows")
        db_table = "taskq_workflow"
        indexes = [
            # Those that a keeper looks at.
            models.Index(name="taskq_workflow_open", fields=["id"], condition=Q(finished_at=None)),
            # For pruning.
            models.Index(name="taskq_workflow_finished", fields=["finished_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.name or 'workflow'} #{self.pk}"

    @property
    def task_ids(self) -> list[int]:
        """The primary keys of its tasks, in the order of the steps."""
        ids: list[int] = json.loads(self.tasks)
        return ids

    def steps_left(self) -> TaskQuerySet:
        """The rows of its steps that are not done."""
        return Task.objects.using(self._state.db).filter(workflow=self.pk)

    def cancel(self) -> Cancelled:
        """Cancel it: steps that wait are removed, and those that run are asked to end. Failed ones
        stay. This is part of the open transaction. Returns how many were removed and asked."""
        using = self._state.db or router.db_for_write(SentWorkflow)
        left = Q(state__in=(State.READY, State.BLOCKED)) | Q(
            state=State.RUNNING, cancelled_at__isnull=True
        )
        with transaction.atomic(using):
            cancelled = self.steps_left().cancel()
            # A step may have been replaced meanwhile, by others that nobody had locked.
            while self.steps_left().filter(left).exists():
                more = self.steps_left().filter(left).cancel()
                cancelled = Cancelled(
                    cancelled.removed + more.removed, cancelled.asked + more.asked
                )
            SentWorkflow.objects.using(using).filter(pk=self.pk, cancelled_at=None).update(
                cancelled_at=Now()
            )
        return cancelled

    def retry_failed(self) -> int:
        """Run its failed steps again. What waits for them then goes on. Returns how many."""
        return self.steps_left().failed().retry()


@read_as_declared
class Edge(models.Model):
    """A part that a step waits for. The rows of a step go when it is released.

    The places of a step are its inputs. A place has its input once one of its edges is done, and a
    step is released once all its places have theirs.
    """

    pk = models.CompositePrimaryKey("step_id", "place", "part_id")
    step_id = models.BigIntegerField(_("id of the step"))
    place = models.BigIntegerField(_("place"))
    part_id = models.BigIntegerField(_("id of the part"))
    waits_for = models.SmallIntegerField(_("waits for"), choices=On, db_default=On.DONE)
    state = models.SmallIntegerField(_("state"), choices=EdgeState, db_default=EdgeState.OPEN)
    value = models.TextField(  # noqa: DJ001  most parts pass nothing on
        _("value"), null=True, blank=True, help_text=_("what the part passes on, encoded")
    )

    class Meta:
        verbose_name = _("edge")
        verbose_name_plural = _("edges")
        indexes = [
            # For the end of a part.
            models.Index(name="taskq_edge_part", fields=["part_id"]),
            # Whether a step still waits: the first entry tells, however many parts it has.
            models.Index(name="taskq_edge_open", fields=["step_id"], condition=~Q(state=1)),
            # For a keeper: steps that somebody may have left unreleased, and steps that are void.
            models.Index(name="taskq_edge_done", fields=["step_id"], condition=Q(state=1)),
            models.Index(name="taskq_edge_void", fields=["step_id"], condition=Q(state=2)),
        ]

    def __str__(self) -> str:
        return f"#{self.part_id} -> #{self.step_id}"
