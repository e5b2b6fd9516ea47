"""The table of tasks: those that wait, run, or were given up."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from taskq.limits import DEFAULT_QUEUE, KEY_LENGTH, NAME_LENGTH, QUEUE_LENGTH
from taskq.models.declared_columns import read_as_declared
from taskq.models.moment_field import MomentField
from taskq.models.workers import Worker
from taskq.querysets import TaskQuerySet
from taskq.task.ids import TaskId
from taskq.task.states import State


@read_as_declared
class Task(models.Model):
    """A call of a registered function, for a worker to run.

    Column defaults live in the database, so a plain INSERT of name and payload makes a complete
    task.
    """

    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    payload = models.TextField(_("arguments"), db_default="[[],{}]", help_text=_("encoded"))
    queue = models.CharField(_("queue"), max_length=QUEUE_LENGTH, db_default=DEFAULT_QUEUE)
    priority = models.SmallIntegerField(
        _("priority"), db_default=0, help_text=_("-100 to 100, higher is sooner")
    )
    state = models.SmallIntegerField(_("state"), choices=State, db_default=State.READY)
    created_at = MomentField(_("created at"), db_default=Now())
    execute_at = MomentField(_("due at"), db_default=Now())
    expires_at = MomentField(
        _("expires at"), null=True, blank=True, help_text=_("not started by then, it is dropped")
    )
    retries = models.IntegerField(_("retries"), db_default=0)

    # Only this worker, for this attempt, may write the outcome. There is no constraint in the
    # database, because the claim locks the worker's row itself, once for all tasks that it claims.
    worker = models.ForeignKey(
        Worker,
        verbose_name=_("worker"),
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="tasks",
    )
    attempt = models.IntegerField(
        _("attempt"), db_default=0, help_text=_("how often it was claimed")
    )
    started_at = MomentField(_("claimed at"), null=True, blank=True)

    losses = models.SmallIntegerField(
        _("losses"), db_default=0, help_text=_("how often it lost its worker")
    )
    max_losses = models.SmallIntegerField(
        _("losses allowed"),
        db_default=3,
        help_text=_("0: never run again after an interrupted run"),
    )
    isolated = models.BooleanField(
        _("claimed alone"), db_default=False, help_text=_("it was there when a worker was lost")
    )
    unknown_since = MomentField(
        _("unknown since"),
        null=True,
        blank=True,
        help_text=_("first seen by a worker that lacks it"),
    )
    error = models.TextField(_("error"), db_default="", blank=True)
    traceback = models.TextField(_("traceback"), db_default="", blank=True)
    failed_at = MomentField(_("failed at"), null=True, blank=True)
    # Nearly all rows have NULL here, which takes no space.
    scheduled_at = MomentField(
        _("scheduled at"), null=True, blank=True, help_text=_("the tick of a schedule it is for")
    )
    run_after = MomentField(
        _("run after"), null=True, blank=True, help_text=_("the time that it was sent for")
    )
    history = models.TextField(  # noqa: DJ001
        _("history"), null=True, blank=True, help_text=_("runs that came to nothing")
    )
    cancelled_at = MomentField(
        _("cancelled at"), null=True, blank=True, help_text=_("asked to end, while it ran")
    )
    progress = models.TextField(_("progress"), null=True, blank=True)  # noqa: DJ001
    own_state = models.TextField(  # noqa: DJ001
        _("own state"), null=True, blank=True, help_text=_("what its run said by update_state()")
    )
    # NULL for a task that is not unique. For a key that is released on start, the claim sets it
    # to NULL.
    unique_key = models.CharField(  # noqa: DJ001
        _("unique key"), max_length=KEY_LENGTH, null=True, blank=True
    )
    unique_until = models.CharField(  # noqa: DJ001
        _("unique until"), max_length=6, null=True, blank=True, help_text=_("start or finish")
    )
    unique_place = models.SmallIntegerField(
        _("place"), null=True, blank=True, help_text=_("1: the first with this key is overdue")
    )
    # Of the steps of workflows; NULL for all other tasks.
    workflow = models.ForeignKey(
        "SentWorkflow",
        verbose_name=_("workflow"),
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="rows",
    )
    passes = models.BooleanField(
        _("passes on"), null=True, blank=True, help_text=_("a later step gets its value")
    )
    inputs = models.TextField(  # noqa: DJ001
        _("inputs"), null=True, blank=True, help_text=_("what earlier steps passed on, encoded")
    )
    delay = models.FloatField(
        _("delay"), null=True, blank=True, help_text=_("seconds from its release to its start")
    )

    objects = TaskQuerySet.as_manager()

    class Meta:
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        indexes = [
            # The only index that a claim reads: waiting tasks by lane (queue and priority),
            # then by due time.
            models.Index(
                F("queue"),
                F("priority").desc(),
                F("execute_at"),
                F("id"),
                name="taskq_task_ready",
                condition=Q(state=State.READY),
            ),
            # The tasks that a worker holds, for reclaiming them.
            models.Index(
                name="taskq_task_running", fields=["worker"], condition=Q(state=State.RUNNING)
            ),
            models.Index(
                name="taskq_task_failed", fields=["failed_at"], condition=Q(state=State.FAILED)
            ),
            # Nearly always empty: cancelled runs, which pools look for to end them.
            models.Index(
                name="taskq_task_cancelled",
                fields=["worker"],
                condition=Q(state=State.RUNNING, cancelled_at__isnull=False),
            ),
            # The steps that wait for others, for the counts of a queue.
            models.Index(
                name="taskq_task_blocked", fields=["queue"], condition=Q(state=State.BLOCKED)
            ),
            # The steps of a workflow that are left, by their states.
            models.Index(
                name="taskq_task_workflow",
                fields=["workflow", "state"],
                condition=Q(workflow__isnull=False),
            ),
            # Nearly always empty: steps that failed, for finding the workflows that stand still.
            models.Index(
                name="taskq_task_step_failed",
                fields=["workflow"],
                condition=Q(state=State.FAILED, workflow__isnull=False),
            ),
        ]
        constraints = [
            # One task for each key that waits, or that runs and keeps its key. A second one when
            # the first is overdue (taskq.outbox.unique). Only unique tasks are in it. A failed
            # task holds no key, but remembers it.
            models.UniqueConstraint(
                name="taskq_task_unique",
                fields=["name", "unique_key", "unique_place"],
                condition=Q(state__lt=State.FAILED, unique_key__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} #{self.pk}"

    @property
    def uuid(self) -> TaskId:
        """The id that ``AsyncResult`` shows."""
        return TaskId.of(self.pk)
