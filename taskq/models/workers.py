"""The table of workers: the processes of the pools, and their leases."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from taskq.models.declared_columns import read_as_declared
from taskq.models.moment_field import MomentField
from taskq.models.worker_ids import RandomId


@read_as_declared
class Worker(models.Model):
    """A process of a pool, and the lease under which it holds tasks.

    The pool's keeper writes these rows. One statement renews all leases of the pool, and it
    touches no task. A keeper that finds an expired lease reclaims its tasks and removes the row.
    """

    id = models.BigIntegerField(_("id"), primary_key=True, db_default=RandomId())
    pool = models.CharField(
        _("pool"), max_length=255, help_text=_("host and pid of the supervisor")
    )
    name = models.CharField(_("name"), max_length=64)
    host = models.CharField(_("host"), max_length=255)
    pid = models.IntegerField(_("process id"))
    started_at = MomentField(_("started at"), db_default=Now())
    lease_expires_at = MomentField(_("lease expires at"))
    # NULL for a row that was restored, or written by hand: nobody knows.
    serves = models.TextField(  # noqa: DJ001
        _("serves"), null=True, blank=True, help_text=_("the queues of its pool, as -Q takes them")
    )
    listens = models.BooleanField(
        _("listens"), db_default=False, help_text=_("its pool sleeps: an enqueuer should wake it")
    )
    # How the lease ended, for a worker whose tasks could not all be reclaimed at once. The keeper
    # that reclaims the rest uses these values and decides nothing again.
    end_cause = models.TextField(_("ended by"), null=True, blank=True)  # noqa: DJ001
    end_blamed = models.BigIntegerField(
        _("blamed"),
        null=True,
        blank=True,
        help_text=_("the task that it ran, 0 for none; none given: nobody knows"),
    )
    end_charge = models.BooleanField(_("charged"), db_default=False)
    end_done = models.TextField(  # noqa: DJ001
        _("done"),
        null=True,
        blank=True,
        help_text=_("ids and attempts of tasks that are done and were locked, so still to remove"),
    )

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        indexes = [
            models.Index(name="taskq_worker_listens", fields=["listens"], condition=Q(listens=True))
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.pool}"
