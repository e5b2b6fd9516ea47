"""The table of finished tasks that are kept."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from taskq.limits import NAME_LENGTH, QUEUE_LENGTH
from taskq.models.declared_columns import read_as_declared
from taskq.models.moment_field import DayField, MomentField


@read_as_declared
class FinishedTask(models.Model):
    """A task that is done, of those that ``keep_finished`` keeps.

    The statement that removes the task's row writes it, under the same fence. On PostgreSQL the
    table is partitioned by ``expires_on``, and its primary key is the id with that day. Django
    knows the id alone, as the admin takes no other key.
    """

    id = models.BigIntegerField(_("id of the task"), primary_key=True)
    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    payload = models.TextField(_("arguments"), help_text=_("encoded"))
    queue = models.CharField(_("queue"), max_length=QUEUE_LENGTH)
    priority = models.SmallIntegerField(_("priority"))
    created_at = MomentField(_("created at"))
    execute_at = MomentField(_("due at"))
    run_after = MomentField(_("run after"), null=True)
    started_at = MomentField(_("claimed at"))
    finished_at = MomentField(_("finished at"))
    worker = models.TextField(_("worker"))
    attempt = models.IntegerField(_("attempt"), help_text=_("how often it was claimed"))
    retries = models.IntegerField(_("retries"))
    history = models.TextField(_("history"), null=True)  # noqa: DJ001  as the task's
    value = models.TextField(  # noqa: DJ001  most tasks keep none
        _("value"), null=True, help_text=_("encoded; none for a task that does not keep its result")
    )
    expires_on = DayField(_("kept until"), help_text=_("the last day, in UTC, on which it is kept"))

    class Meta:
        verbose_name = _("finished task")
        verbose_name_plural = _("finished tasks")
        db_table = "taskq_finished"
        indexes = [
            # For the lists of the admin: newest first, of all or of a name or a queue.
            models.Index(name="taskq_finished_at", fields=["finished_at"]),
            models.Index(name="taskq_finished_name", fields=["name", "finished_at"]),
            models.Index(name="taskq_finished_queue", fields=["queue", "finished_at"]),
            # For pruning. On PostgreSQL only the default partition has it: in each other one all
            # rows have the same day.
            models.Index(name="taskq_finished_expires", fields=["expires_on"]),
        ]

    def __str__(self) -> str:
        return f"{self.name} #{self.pk}"
