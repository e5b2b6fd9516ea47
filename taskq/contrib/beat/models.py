"""The models of django-celery-beat. Only :class:`PeriodicTask` has rows: those of
``taskq_schedule``."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from typing import Any, ClassVar

from django.db import IntegrityError, router, transaction

from taskq.celery.beat_schedules import (
    DAYS,
    HOURS,
    MICROSECONDS,
    MINUTES,
    SECONDS,
    BeatSchedule,
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    SolarSchedule,
    of_timing,
)
from taskq.contrib.beat.querysets import PeriodicTaskQuerySet
from taskq.models import Schedule
from taskq.schedules import ScheduleError, data
from taskq.task import payload, tagged_json
from taskq.task.payload import PICKLED

__all__ = [
    "DAYS",
    "HOURS",
    "MICROSECONDS",
    "MINUTES",
    "SECONDS",
    "ClockedSchedule",
    "CrontabSchedule",
    "IntervalSchedule",
    "PeriodicTask",
    "PeriodicTasks",
    "SolarSchedule",
]


def _renamed(name: str) -> Any:
    """An attribute that is a column by another name."""

    def read(row: Schedule) -> Any:
        return getattr(row, name)

    def write(row: Schedule, value: Any) -> None:
        setattr(row, name, value)

    return property(read, write)


def _scheduled(kind: type[BeatSchedule]) -> Any:
    """An attribute that is the schedule, if it is of this kind."""

    def read(row: PeriodicTask) -> BeatSchedule | None:
        found = row.scheduler
        return found if isinstance(found, kind) else None

    def write(row: PeriodicTask, value: BeatSchedule | None) -> None:
        if value is not None:
            if not isinstance(value, kind):
                raise TypeError(f"it is {value!r}: give a {kind.__name__}")
            timing = value.as_timing("UTC")
            row.schedule, row.time_zone = timing.text, getattr(timing, "zone", "UTC")
        elif read(row) is not None:
            row.schedule = ""

    return property(read, write)


def _of_call(place: int, empty: str) -> Any:
    """A part of the stored call, as JSON."""

    def read(row: PeriodicTask) -> str:
        call = _call(row)
        return json.dumps(call[place]) if len(call) > place else empty

    def write(row: PeriodicTask, text: str | None) -> None:
        try:
            value = json.loads(text or empty)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{text!r} is no JSON: use json.dumps()") from error
        if not isinstance(value, type(json.loads(empty))):
            raise ValueError(f"{text!r}: give JSON such as {empty}")
        call = _call(row)
        call += [[], {}, {}][len(call) :]
        call[place] = value
        row.payload = json.dumps(call if call[2] else call[:2])

    return property(read, write)


def _call(row: PeriodicTask) -> list[Any]:
    """The stored call as plain JSON, with the tags of dates and the like."""
    if row.payload.startswith(PICKLED):
        args, kwargs, headers = payload.decode_call(row.payload, row.task)
        found: list[Any] = json.loads(tagged_json.dumps([args, kwargs, headers or {}]))
    else:
        found = json.loads(row.payload or "[]")
    return found


class PeriodicTask(Schedule):
    """A schedule under the names of django-celery-beat.

    It is saved by ``taskq.schedules``: wrong values raise ``ScheduleError``, a ValueError.
    """

    objects: ClassVar[Any] = PeriodicTaskQuerySet.as_manager()

    class Meta:
        proxy = True
        app_label = "taskq_beat"

    #: Read by code that knows django-celery-beat; it changes nothing.
    no_changes = False

    enabled = property(
        lambda row: row.paused is not True, lambda row, on: setattr(row, "paused", not on)
    )
    interval = _scheduled(IntervalSchedule)
    crontab = _scheduled(CrontabSchedule)
    clocked = _scheduled(ClockedSchedule)
    args = _of_call(0, "[]")
    kwargs = _of_call(1, "{}")
    headers = _of_call(2, "{}")
    start_time = _renamed("start_at")
    expires = _renamed("end_at")
    last_run_at = _renamed("last_at")
    total_run_count = _renamed("total_runs")

    @property
    def solar(self) -> None:
        return None

    @solar.setter
    def solar(self, value: object) -> None:
        if value is not None:
            SolarSchedule(value=value)

    # They were for the broker.
    exchange = property(lambda row: None, lambda row, value: None)
    routing_key = property(lambda row: None, lambda row, value: None)

    @property
    def scheduler(self) -> BeatSchedule | None:
        """The schedule. None for one that django-celery-beat does not have, such as ``L``."""
        try:
            return of_timing(self.timing.timing) if self.schedule else None
        except ValueError:
            return None

    @property
    def expires_(self) -> datetime.datetime | float | None:
        return self.end_at or self.expire_seconds

    def save(
        self,
        force_insert: Any = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Write all values. One of the code can only be enabled and disabled.

        Raises:
            ScheduleError: Values are wrong, each with its mend.
        """
        using = using or router.db_for_write(Schedule, instance=self)
        values = self._values()
        with transaction.atomic(using=using):
            if self.pk is None:
                row = self._make(values, using)
            else:
                row = Schedule.objects.using(using).select_for_update().get(pk=self.pk)
                self._change(row, values, using)
            for field in Schedule._meta.concrete_fields:
                setattr(self, field.attname, getattr(row, field.attname))
            if (link := self._meta.get_ancestor_link(Schedule)) is not None:
                # A model of the site that inherits from this one has a table of its own.
                setattr(self, link.attname, row.pk)
                self.save_base(raw=True, using=using)
        self._state.adding, self._state.db = False, using

    def _make(self, values: dict[str, Any], using: str) -> Schedule:
        try:
            return data.make(self.name, values, using=using, known=False)
        except ScheduleError as error:
            if isinstance(error.__cause__, IntegrityError):  # get_or_create() waits for it
                raise error.__cause__ from error
            raise

    def _change(self, row: Schedule, values: dict[str, Any], using: str) -> None:
        stored = data.values_of(row)
        same = {**stored, **values, "enabled": None} == {**stored, "enabled": None}
        if row.from_code and same:
            alone = Schedule.objects.using(using).filter(pk=row.pk)
            alone.resume() if values["enabled"] else alone.pause()
            row.refresh_from_db(using=using)
        elif row.name != self.name:
            mend = "make another task, and delete this one"
            raise ScheduleError({"name": f"name was {row.name!r} and is {self.name!r}: {mend}"})
        else:
            data.change(row, values, using=using, known=False)

    def _values(self) -> dict[str, Any]:
        if not self.schedule:
            one = "one of interval, crontab and clocked"
            raise ScheduleError({"schedule": f"{self.name!r} has no schedule: give {one}"})
        args, kwargs, *headers = payload.decode_call(self.payload or "[[],{}]", self.task)
        return {
            "task": self.task,
            "schedule": self.schedule,
            "time_zone": self.time_zone or "UTC",
            "args": args,
            "kwargs": kwargs,
            "headers": headers[0],
            "queue": self.queue or None,
            "priority": self.priority,
            "expires": self.expire_seconds,
            "catch_up": self.catch_up or None,
            "start_at": self.start_at,
            "end_at": self.end_at,
            "one_off": self.one_off is True or self.clocked is not None,
            "enabled": self.paused is not True,
            "description": self.description if isinstance(self.description, str) else "",
        }


class PeriodicTasks:
    """Nothing to do: pools see each change within five seconds of its commit."""

    @classmethod
    def changed(cls, instance: object = None, **kwargs: object) -> None:
        """Nothing to do."""

    @classmethod
    def update_changed(cls, **kwargs: object) -> None:
        """Nothing to do."""
