"""The table of idempotency keys, and of ids that callers gave."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from taskq.limits import KEY_LENGTH, NAME_LENGTH
from taskq.models.declared_columns import read_as_declared
from taskq.models.moment_field import MomentField


@read_as_declared
class IdempotencyKey(models.Model):
    """The first task that was sent with an idempotency key. Later calls with the same key get its
    id while this row exists, whatever the task's state is.

    A row with the empty name is no such key. It has an id that a caller gave, and the task that was
    last sent with it (``taskq.outbox.given_ids``).
    """

    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    key = models.CharField(_("key"), max_length=KEY_LENGTH)
    # NULL only inside of the transaction that writes the row.
    task_id = models.BigIntegerField(_("id of the task"), null=True)
    created_at = MomentField(_("created at"), db_default=Now())

    class Meta:
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")
        constraints = [
            models.UniqueConstraint(name="taskq_idempotency_key", fields=["name", "key"])
        ]
        indexes = [
            # For pruning.
            models.Index(name="taskq_idempotency_created", fields=["created_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.key} of {self.name}"
