"""The table of paused queues."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from taskq.limits import QUEUE_LENGTH
from taskq.models.declared_columns import read_as_declared
from taskq.models.moment_field import MomentField


@read_as_declared
class PausedQueue(models.Model):
    """A queue whose tasks are not claimed. The row is the pause: see ``taskq.pausing``."""

    queue = models.CharField(_("queue"), max_length=QUEUE_LENGTH, primary_key=True)
    paused_at = MomentField(_("paused at"), db_default=Now())
    paused_by = models.CharField(_("paused by"), max_length=255, db_default="", blank=True)

    class Meta:
        verbose_name = _("paused queue")
        verbose_name_plural = _("paused queues")

    def __str__(self) -> str:
        return self.queue
