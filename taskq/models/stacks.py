"""The table of requests for stacks: who asks a process where it is, and what it answered."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from taskq.models.declared_columns import read_as_declared
from taskq.models.moment_field import MomentField


@read_as_declared
class StackRequest(models.Model):
    """A question to a worker: where is your code now? See :mod:`taskq.stacks`.

    The caller writes the row and removes it. The keeper of the worker's pool answers in it.
    """

    worker_id = models.BigIntegerField(_("id of the worker"))
    task_id = models.BigIntegerField(
        _("id of the task"), help_text=_("that it must be running; 0 for whatever it does")
    )
    asked_at = MomentField(_("asked at"), db_default=Now())
    answered_at = MomentField(_("answered at"), null=True, blank=True)
    refusal = models.TextField(
        _("refusal"), db_default="", blank=True, help_text=_("why there is no stack")
    )
    stack = models.TextField(_("stack"), db_default="", blank=True)

    class Meta:
        verbose_name = _("request for a stack")
        verbose_name_plural = _("requests for stacks")
        indexes = [
            # Nearly always empty: what pools look for.
            models.Index(
                name="taskq_stack_open",
                fields=["worker_id"],
                condition=Q(answered_at__isnull=True),
            ),
            # For pruning.
            models.Index(name="taskq_stack_asked", fields=["asked_at"]),
        ]

    def __str__(self) -> str:
        return f"stack of worker {self.worker_id}"
