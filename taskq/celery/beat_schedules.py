"""The schedules of django-celery-beat, as values: nothing is stored for them.

A ``PeriodicTask`` of ``taskq.contrib.beat`` holds its own schedule. So there is no row that several
tasks share, and a value cannot be changed.
"""

from __future__ import annotations

import datetime
from abc import abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, NoReturn, Self, TypeVar

from django.conf import settings

from taskq.celery.schedules import crontab, schedule
from taskq.task.timing import BOTH, At, Cron, Every, HasTiming, Timing, parse

S = TypeVar("S")

DAYS, HOURS, MINUTES, SECONDS = "days", "hours", "minutes", "seconds"
MICROSECONDS = "microseconds"
_PERIODS = (DAYS, HOURS, MINUTES, SECONDS)


class Values(Generic[S]):
    """What stands for the manager of such a model."""

    def __init__(self, kind: type[S]) -> None:
        self._kind = kind

    def create(self, **values: Any) -> S:
        """The schedule of these values."""
        return self._kind(**values)

    def get(self, **values: Any) -> S:
        """The schedule of these values. There is one of all values."""
        return self._kind(**values)

    def get_or_create(self, defaults: Any = None, **values: Any) -> tuple[S, bool]:
        """The schedule of these values, and True."""
        return self._kind(**{**values, **(defaults or {})}), True

    update_or_create = get_or_create

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"{self._kind.__name__}.objects has no {name!r}: a schedule is a value and has no row; "
            "use get_or_create(), and look for the tasks by PeriodicTask.objects"
        )


class _Manager:
    """Gives each class its own manager."""

    def __get__(self, instance: object, owner: type[S]) -> Values[S]:
        return Values(owner)


@dataclass(frozen=True)
class BeatSchedule(HasTiming):
    """What the three have in common."""

    objects: ClassVar[Any] = _Manager()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to do: the task stores it."""

    def as_timing(self, zone: str) -> Timing:
        return parse(self.schedule, zone)

    @property
    @abstractmethod
    def schedule(self) -> Any:
        """The same as a schedule of ``taskq.celery.schedules``."""

    def __str__(self) -> str:
        return " ".join(str(getattr(self, each.name)) for each in fields(self))


@dataclass(frozen=True)
class IntervalSchedule(BeatSchedule):
    """Every so many periods.

    Raises:
        ValueError: It is below a second, or there is no such period.
    """

    every: int
    period: str

    DAYS: ClassVar[str] = DAYS
    HOURS: ClassVar[str] = HOURS
    MINUTES: ClassVar[str] = MINUTES
    SECONDS: ClassVar[str] = SECONDS
    MICROSECONDS: ClassVar[str] = MICROSECONDS
    PERIOD_CHOICES: ClassVar[Any] = tuple((each, each.capitalize()) for each in _PERIODS)

    def __post_init__(self) -> None:
        if self.period not in _PERIODS:
            raise ValueError(f"period is {self.period!r}: use one of {', '.join(_PERIODS)}")
        if not isinstance(self.every, int) or self.every < 1:
            raise ValueError(f"every is {self.every!r}: give a whole number from 1")
        self.as_timing("UTC")

    @property
    def schedule(self) -> schedule:
        return schedule(datetime.timedelta(**{self.period: self.every}))

    @classmethod
    def from_schedule(cls, schedule: Any, period: str = SECONDS) -> Self:
        unit = datetime.timedelta(**{period: 1}).total_seconds()
        return cls(every=int(schedule.seconds // unit), period=period)

    def __str__(self) -> str:
        period = self.period[:-1] if self.every == 1 else f"{self.every} {self.period}"
        return f"every {period}"


@dataclass(frozen=True)
class CrontabSchedule(BeatSchedule):
    """Celery's crontab in a time zone, which is ``CELERY_TIMEZONE`` or UTC by default.

    Raises:
        ValueError: A field or the time zone is wrong.
    """

    minute: str = "*"
    hour: str = "*"
    day_of_week: str = "*"
    day_of_month: str = "*"
    month_of_year: str = "*"
    timezone: Any = None

    def __post_init__(self) -> None:
        zone = self.timezone or getattr(settings, "CELERY_TIMEZONE", None) or "UTC"
        object.__setattr__(self, "timezone", str(zone))
        for each in fields(self):
            object.__setattr__(self, each.name, str(getattr(self, each.name)))
        try:
            self.as_timing("UTC")
        except KeyError as error:
            mend = "give a zone's name, such as 'America/New_York'"
            raise ValueError(f"timezone is {self.timezone!r}: {mend}") from error

    @property
    def schedule(self) -> crontab:
        return crontab(
            *(self.minute, self.hour, self.day_of_week, self.day_of_month, self.month_of_year)
        )

    def as_timing(self, zone: str) -> Timing:
        return parse(self.schedule, self.timezone)

    @classmethod
    def from_schedule(cls, schedule: crontab) -> Self:
        return cls(
            minute=_text(schedule._orig_minute),
            hour=_text(schedule._orig_hour),
            day_of_week=_text(schedule._orig_day_of_week),
            day_of_month=_text(schedule._orig_day_of_month),
            month_of_year=_text(schedule._orig_month_of_year),
        )

    def __str__(self) -> str:
        return (
            f"{self.minute} {self.hour} {self.day_of_month} {self.month_of_year} "
            f"{self.day_of_week} (m/h/dM/MY/d) {self.timezone}"
        )


@dataclass(frozen=True)
class ClockedSchedule(BeatSchedule):
    """Once, at a time. A naive one is in Django's time zone."""

    clocked_time: datetime.datetime

    @property
    def schedule(self) -> datetime.datetime:
        return self.clocked_time

    @classmethod
    def from_schedule(cls, schedule: Any) -> Self:
        return cls(clocked_time=schedule.clocked_time)


class SolarSchedule:
    """Refused: the ticks of a schedule are fixed, and those of the sun are not.

    Raises:
        TypeError: Always.
    """

    objects: ClassVar[Any] = _Manager()

    def __init__(self, **values: Any) -> NoReturn:
        raise TypeError(
            "SolarSchedule is refused, as the ticks of the sun are no fixed times: give the task "
            "a CrontabSchedule(minute='*/5'), and let it ask a library such as astral whether the "
            "event came"
        )


def of_timing(timing: Timing) -> BeatSchedule | None:
    """The value that stands for a timing. None for what has none here, such as ``L`` in a cron."""
    match timing:
        case Every(seconds=seconds):
            for period in _PERIODS:
                unit = int(datetime.timedelta(**{period: 1}).total_seconds())
                if seconds % unit == 0:
                    return IntervalSchedule(seconds // unit, period)
        case At(moment=moment):
            return ClockedSchedule(moment)
        case Cron(expression=expression, zone=zone):
            try:
                minute, hour, day, month, weekday = expression.removeprefix(BOTH).split(" ")
                if "*" not in (day[0], weekday[0]) and not expression.startswith(BOTH):
                    return None  # a cron that takes either day
                return CrontabSchedule(minute, hour, weekday, day, month, zone)
            except ValueError:
                return None
    return None


def _text(given: Any) -> str:
    return str(given) if isinstance(given, (int, str)) else ",".join(map(str, sorted(given)))
