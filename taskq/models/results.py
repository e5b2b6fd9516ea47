"""The table of results: what tasks returned, of those that keep it."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from taskq.limits import NAME_LENGTH, QUEUE_LENGTH
from taskq.models.declared_columns import read_as_declared
from taskq.models.moment_field import MomentField


@read_as_declared
class Result(models.Model):
    """The return value of a task that keeps it (``ignore_result=False``).

    The statement that removes the task's row writes it, under the same fence. A failed task
    stays in its own table.
    """

    id = models.BigIntegerField(_("id of the task"), primary_key=True)
    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    payload = models.TextField(_("arguments"), help_text=_("encoded"))
    queue = models.CharField(_("queue"), max_length=QUEUE_LENGTH)
    priority = models.SmallIntegerField(_("priority"))
    created_at = MomentField(_("created at"))
    run_after = MomentField(_("run after"), null=True)
    started_at = MomentField(_("claimed at"))
    finished_at = MomentField(_("finished at"))
    worker = models.TextField(_("worker"))
    history = models.TextField(_("history"), null=True)  # noqa: DJ001  as the task's
    value = models.TextField(_("value"), help_text=_("encoded"))

    class Meta:
        verbose_name = _("result")
        verbose_name_plural = _("results")
        indexes = [
            # For pruning.
            models.Index(name="taskq_result_finished", fields=["finished_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.name} #{self.pk}"
