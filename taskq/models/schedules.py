"""The table of schedules: when each is due next, and whether it is paused."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.db import models, router, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from taskq.limits import MAX_SECONDS, NAME_LENGTH, QUEUE_LENGTH
from taskq.models.declared_columns import read_as_declared
from taskq.models.moment_field import MomentField
from taskq.models.tasks import Task
from taskq.sql.notify import wake
from taskq.task.limited_timing import LimitedTiming
from taskq.task.timing import SECOND, TEXT_LENGTH, UTC, parse


def _limited(seconds: float) -> float:
    """Seconds that a timedelta can hold. The row may have been written by hand."""
    if math.isnan(seconds):
        return MAX_SECONDS
    return min(max(seconds, 0.0), MAX_SECONDS)


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    """The actions that people can take on schedules."""

    def pause(self) -> int:
        """Send nothing for them until they are resumed. Returns how many were not paused before."""
        return self.filter(paused=False).update(paused=True)

    def resume(self) -> int:
        """Continue with their next tick from now. Ticks during the pause are not sent.

        Returns how many were paused. Raises ValueError for a schedule that this version of the
        code cannot read.
        """
        using = self._db or router.db_for_write(self.model)  # type: ignore[attr-defined]
        with transaction.atomic(using=using):
            paused = self.using(using).filter(paused=True).order_by("pk").select_for_update()
            rows: list[Any] = list(paused.annotate(now=Now()))
            for row in rows:
                row.next_at = next(row.ticks_after(row.now), None)
                row.paused = False
                row.save(using=using, update_fields=["next_at", "paused"])
        return len(rows)

    def run_now(self) -> int:
        """Send the task of each of them once, now, beside their ticks. Returns how many.

        A paused one is sent too. A sleeping pool is woken.
        """
        using = self._db or router.db_for_write(self.model)  # type: ignore[attr-defined]
        columns = ("payload", "queue", "priority", "max_losses")
        sent = [
            Task(
                name=row.task,
                **{each: getattr(row, each) for each in columns},
                expires_at=None
                if row.expire_seconds is None
                else Now() + _limited(row.expire_seconds) * SECOND,
            )
            for row in self.using(using).order_by("pk")
        ]
        Task.objects.using(using).bulk_create(sent)
        if sent:
            wake(using)
        return len(sent)

    # Templates cannot call them, and ``Schedule.objects`` needs a filter first.
    for _verb in (pause, resume, run_now):
        _verb.alters_data = _verb.queryset_only = True  # type: ignore[attr-defined]
    del _verb


@read_as_declared
class Schedule(models.Model):
    """A periodic task. The statement that sends a tick's task also moves ``next_at``.

    Pools write the code's and the settings' schedules when they start. ``taskq.schedules`` and
    the admin make others.
    """

    name = models.CharField(_("name"), max_length=NAME_LENGTH, unique=True)
    task = models.CharField(_("task"), max_length=NAME_LENGTH)
    schedule = models.CharField(_("schedule"), max_length=TEXT_LENGTH)
    time_zone = models.CharField(_("time zone"), max_length=64)
    catch_up = models.CharField(
        _("catch up"), max_length=8, help_text=_("what becomes of ticks that were missed")
    )
    payload = models.TextField(_("arguments"), help_text=_("encoded"))
    queue = models.CharField(_("queue"), max_length=QUEUE_LENGTH)
    priority = models.SmallIntegerField(_("priority"))
    max_losses = models.SmallIntegerField(_("losses allowed"))
    next_at = MomentField(_("next"), null=True)
    last_at = MomentField(_("last"), null=True)
    paused = models.BooleanField(_("paused"), db_default=False)
    from_code = models.BooleanField(
        _("from the code"), db_default=True, help_text=_("code or settings define it")
    )
    description = models.TextField(_("description"), blank=True, db_default="")
    start_at = MomentField(
        _("start"), null=True, blank=True, help_text=_("no tick comes before it")
    )
    end_at = MomentField(_("end"), null=True, blank=True, help_text=_("no tick comes after it"))
    one_off = models.BooleanField(
        _("one tick only"), db_default=False, help_text=_("after a tick it is paused")
    )
    expire_seconds = models.FloatField(
        _("expires after"),
        null=True,
        blank=True,
        help_text=_("seconds after which a task that has not started is dropped"),
    )
    total_runs = models.BigIntegerField(_("tasks sent"), db_default=0)
    error = models.TextField(
        _("error"), blank=True, db_default="", help_text=_("why a pool cannot send it")
    )

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        app_label = "taskq"
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        indexes = [
            # For the keeper's query: which schedules are due next.
            models.Index(
                name="taskq_schedule_due", fields=["next_at"], condition=models.Q(paused=False)
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def timing(self) -> LimitedTiming:
        """The schedule, parsed. Raises ValueError when this version of the code cannot read it."""
        try:
            return LimitedTiming(parse(self.schedule, self.time_zone), self.start_at, self.end_at)
        except KeyError as error:  # this host does not have the time zone
            raise ValueError(f"{self.name}: {error}") from error

    def ticks_after(self, moment: datetime.datetime) -> Iterator[datetime.datetime]:
        """Its ticks after this moment, in order, paused or not. Raises as :attr:`timing`."""
        return self.timing.after(moment.astimezone(UTC))

    def next_ticks(self, count: int = 5) -> list[datetime.datetime]:
        """Its next ticks from now, at most so many. Raises as :attr:`timing`."""
        now = datetime.datetime.now(UTC)
        return list(islice(self.ticks_after(now), 1 if self.one_off else count))
