"""The table of losses: what is known of each worker that died, and of what it ran."""

from __future__ import annotations

import json

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from pool.black_box import Sample
from taskq import loss_text
from taskq.limits import NAME_LENGTH, QUEUE_LENGTH
from taskq.models.declared_columns import read_as_declared
from taskq.models.moment_field import MomentField


@read_as_declared
class Loss(models.Model):
    """The black box of a worker that died, or of a task whose worker's lease ran out.

    The keeper writes it after the tasks of the worker are reclaimed. Pools remove old rows, by the
    setting LOSS_TTL.
    """

    at = MomentField(_("at"), db_default=Now())
    pool = models.CharField(_("pool"), max_length=255)
    host = models.CharField(_("host"), max_length=255)
    worker = models.CharField(_("worker"), max_length=64)
    pid = models.IntegerField(_("process id"), help_text=_("0 where it is not known"))
    task_id = models.BigIntegerField(
        _("id of the task"), help_text=_("that it ran; 0 where it ran none")
    )
    attempt = models.IntegerField(_("attempt"))
    name = models.CharField(_("name"), max_length=NAME_LENGTH, blank=True)
    queue = models.CharField(_("queue"), max_length=QUEUE_LENGTH, blank=True)
    cause = models.TextField(_("cause"))
    place = models.TextField(_("place"), blank=True, help_text=_("where the task was"))
    stack = models.TextField(_("stack"), blank=True)
    memory = models.TextField(
        _("memory"), default="[]", help_text=_("seconds before the end, and KiB, as JSON")
    )
    runs = models.TextField(
        _("last runs"), default="[]", help_text=_("task, attempt, name, outcome, seconds; as JSON")
    )
    version = models.CharField(_("version"), max_length=64, blank=True)

    class Meta:
        verbose_name = _("loss")
        verbose_name_plural = _("losses")
        indexes = [
            # For pruning, and for lists by time.
            models.Index(name="taskq_loss_at", fields=["at"]),
            # The losses of a task, for its page.
            models.Index(name="taskq_loss_task", fields=["task_id"]),
        ]

    def __str__(self) -> str:
        return self.sentence

    @property
    def samples(self) -> list[Sample]:
        """The resident memory of the worker, oldest first. Empty where the column is odd."""
        try:
            return [Sample(float(before), int(kib)) for before, kib in json.loads(self.memory)]
        except (ValueError, TypeError, RecursionError, OverflowError):
            return []  # somebody wrote the column by hand

    @property
    def sentence(self) -> str:
        """The cause, the memory and the place in one sentence."""
        return self.cause + loss_text.details(self.cause, self.place, self.samples)
