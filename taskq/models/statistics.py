"""What pools have measured: figures by minute and by hour, and the last runs of each task."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from taskq.limits import NAME_LENGTH, QUEUE_LENGTH
from taskq.models.declared_columns import read_as_declared
from taskq.models.moment_field import MomentField
from taskq.task.measures import BUCKETS, End

#: The columns of the two histograms: a count for each bucket.
RUN_COLUMNS = tuple(f"run_{bucket:02}" for bucket in range(BUCKETS))
WAIT_COLUMNS = tuple(f"wait_{bucket:02}" for bucket in range(BUCKETS))


class Step(models.IntegerChoices):
    """How much time the figures of a row cover, in seconds."""

    MINUTE = 60, _("minute")
    HOUR = 3600, _("hour")


class Rollup(models.Model):
    """The figures of one task name and queue for one minute or one hour.

    The keeper of each pool writes the minutes of its pool, again and again until they are over,
    and always the whole sum. So a minute that is written twice is counted once. A row of an hour is
    the sum of the minutes of all pools.
    """

    step = models.SmallIntegerField(_("step"), choices=Step)
    at = MomentField(_("begins at"))
    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    queue = models.CharField(_("queue"), max_length=QUEUE_LENGTH)
    # For a minute the random id of its pool: a process id comes again. Empty for an hour.
    pool = models.CharField(_("pool"), max_length=32, db_default="", blank=True)
    done = models.BigIntegerField(_("done"), db_default=0)
    failed = models.BigIntegerField(_("failed"), db_default=0)
    retried = models.BigIntegerField(_("retried"), db_default=0)
    lost = models.BigIntegerField(_("lost"), db_default=0)
    cancelled = models.BigIntegerField(_("cancelled"), db_default=0)
    run_seconds = models.FloatField(_("run time"), db_default=0.0)
    wait_seconds = models.FloatField(_("wait"), db_default=0.0)

    class Meta:
        verbose_name = _("roll-up")
        verbose_name_plural = _("roll-ups")
        constraints = [
            # In this order for readers and for pruning, which want all of a time.
            models.UniqueConstraint(
                name="taskq_rollup_once", fields=["step", "at", "name", "queue", "pool"]
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} at {self.at}"


for column in (*RUN_COLUMNS, *WAIT_COLUMNS):
    Rollup.add_to_class(column, models.BigIntegerField(db_default=0))
read_as_declared(Rollup)


@read_as_declared
class RecentRun(models.Model):
    """One of the last runs of a task name, or a slow or failed one."""

    task_id = models.BigIntegerField(_("id of the task"))
    attempt = models.IntegerField(_("attempt"))
    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    queue = models.CharField(_("queue"), max_length=QUEUE_LENGTH)
    pool = models.CharField(_("pool"), max_length=255)
    worker = models.CharField(_("worker"), max_length=64)
    started_at = MomentField(_("started at"))
    seconds = models.FloatField(_("run time"), help_text=_("in seconds"))
    wait = models.FloatField(_("wait"), help_text=_("in seconds, from due to started"))
    end = models.SmallIntegerField(_("outcome"), choices=End)

    class Meta:
        verbose_name = _("recent run")
        verbose_name_plural = _("recent runs")
        indexes = [
            # The last runs of a name, for its page and for pruning.
            models.Index(name="taskq_recentrun_name", fields=["name", "started_at"]),
            # The last of all.
            models.Index(name="taskq_recentrun_started", fields=["started_at"]),
            # The runs of a task.
            models.Index(name="taskq_recentrun_task", fields=["task_id"]),
        ]

    def __str__(self) -> str:
        return f"{self.name} #{self.task_id}"
