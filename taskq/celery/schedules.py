"""Celery's schedules: ``crontab()`` and ``schedule()``. Settings import this module, so it needs no
settings and no models.

They are accepted wherever a schedule is. Ticks are computed by ``taskq.task.timing``.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from taskq.celery.base_schedule import (
    NOTHING,
    BaseSchedule,
    in_utc,
    schedstate,
    zone_name,
)
from taskq.celery.crontab_fields import (
    Cronspec,
    ParseException,
    crontab_parser,
    expand,
    in_cron,
)
from taskq.task.timing import BOTH, Timing, parse

__all__ = [
    "BaseSchedule",
    "ParseException",
    "crontab",
    "crontab_parser",
    "maybe_schedule",
    "schedstate",
    "schedule",
    "solar",
]

#: The most days that each month has.
_DAYS = {1: 31, 2: 29, 3: 31, 4: 30, 5: 31, 6: 30, 7: 31, 8: 31, 9: 30, 10: 31, 11: 30, 12: 31}


class schedule(BaseSchedule):
    """Every so often. The ticks are counted from 1970, so that all pools agree on them.

    Args:
        run_every: Seconds, or a timedelta, which must be whole seconds.
        relative: Changes nothing here: ticks are always on the clock.
        nowfun: See :class:`BaseSchedule`.
        app: See :class:`BaseSchedule`.
    """

    def __init__(
        self,
        run_every: float | datetime.timedelta | None = None,
        relative: bool = False,
        nowfun: Callable[[], datetime.datetime] | None = None,
        app: Any = None,
    ) -> None:
        if isinstance(run_every, (int, float)):
            run_every = datetime.timedelta(seconds=run_every)
        self.run_every = run_every
        self.relative = relative
        super().__init__(nowfun, app)

    def as_timing(self, zone: str) -> Timing:
        return parse(self.run_every)

    _in = as_timing

    def remaining_estimate(self, last_run_at: datetime.datetime) -> datetime.timedelta:
        """The time until the interval has passed since the last run, or with ``relative`` until
        the next tick."""
        if self.relative or self.run_every is None:
            return super().remaining_estimate(last_run_at)
        return in_utc(last_run_at) + self.run_every - in_utc(self.now())

    def is_due(self, last_run_at: datetime.datetime) -> schedstate:
        """Whether the interval has passed since the last run, and the seconds until the next
        look."""
        remaining = self.remaining_estimate(last_run_at)
        if remaining <= NOTHING and not self.relative:
            return schedstate(True, self.seconds)
        return super().is_due(last_run_at)

    @property
    def seconds(self) -> float:
        return max(0.0, self.run_every.total_seconds()) if self.run_every else 0.0

    @property
    def human_seconds(self) -> str:
        for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
            if self.seconds >= length:
                count = self.seconds / length
                return f"{count:.2f} {unit}{'s' * (count != 1)}"
        return "now"

    def __repr__(self) -> str:
        return f"<freq: {self.human_seconds}>"

    def __eq__(self, other: object) -> bool:
        return self.run_every == (other.run_every if isinstance(other, schedule) else other)

    def __hash__(self) -> int:
        return hash(self.run_every)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.run_every, self.relative, self.nowfun)


class crontab(BaseSchedule):
    """Celery's crontab. The day of the week and the day of the month must both match.

    Each field takes a number, a text or a list of numbers.

    Args:
        minute: 0 to 59.
        hour: 0 to 23.
        day_of_week: 0 to 6 from Sunday, or names.
        day_of_month: 1 to 31.
        month_of_year: 1 to 12, or names.
        **kwargs: ``nowfun`` and ``app``, see :class:`BaseSchedule`.

    Raises:
        ParseException: A text has an empty part.
        TypeError: A field is of a wrong type.
        ValueError: A value is out of range, or the months have no such day.
    """

    def __init__(
        self,
        minute: Cronspec = "*",
        hour: Cronspec = "*",
        day_of_week: Cronspec = "*",
        day_of_month: Cronspec = "*",
        month_of_year: Cronspec = "*",
        **kwargs: Any,
    ) -> None:
        self._orig_minute = _given(minute)
        self._orig_hour = _given(hour)
        self._orig_day_of_week = _given(day_of_week)
        self._orig_day_of_month = _given(day_of_month)
        self._orig_month_of_year = _given(month_of_year)
        self._orig_kwargs = kwargs
        self.minute = self._expand_cronspec(self._orig_minute, 60)
        self.hour = self._expand_cronspec(self._orig_hour, 24)
        self.day_of_week = self._expand_cronspec(self._orig_day_of_week, 7)
        self.day_of_month = self._expand_cronspec(self._orig_day_of_month, 31, 1)
        self.month_of_year = self._expand_cronspec(self._orig_month_of_year, 12, 1)
        most = max((_DAYS[month] for month in self.month_of_year), default=0)
        if min(self.day_of_month, default=32) > most:
            raise ValueError(
                f"day_of_month is {self._orig_day_of_month!r}, which never occurs in "
                f"month_of_year {self._orig_month_of_year!r}"
            )
        super().__init__(**kwargs)

    _expand_cronspec = staticmethod(expand)

    @classmethod
    def from_string(cls, crontab: str) -> crontab:
        """Read cron's own text. Unlike in a cron, both days must match.

        Raises:
            ValueError: It has not five fields.
        """
        minute, hour, day_of_month, month_of_year, day_of_week = crontab.split(" ")
        return cls(minute, hour, day_of_week, day_of_month, month_of_year)

    @property
    def text(self) -> str:
        """The same in the text that the table stores."""
        day = in_cron(self._orig_day_of_month, self.day_of_month, 31, 1)
        weekday = in_cron(self._orig_day_of_week, self.day_of_week, 7)
        fields = (
            in_cron(self._orig_minute, self.minute, 60),
            in_cron(self._orig_hour, self.hour, 24),
            day,
            in_cron(self._orig_month_of_year, self.month_of_year, 12, 1),
            weekday,
        )
        # A cron takes either day, unless one of them begins with a star.
        both = BOTH if "*" not in (day[0], weekday[0]) else ""
        return both + " ".join(fields)

    def as_timing(self, zone: str) -> Timing:
        try:
            own = zone_name(self.nowfun().tzinfo) if self.nowfun is not None else None
        except Exception as error:
            raise ValueError(f"nowfun of {self!r} raised {error!r}") from error
        return self._in(own or zone)

    def _in(self, zone: str) -> Timing:
        return parse(self.text, zone)

    def __repr__(self) -> str:
        return (
            f"<crontab: {self._orig_minute} {self._orig_hour} {self._orig_day_of_month} "
            f"{self._orig_month_of_year} {self._orig_day_of_week} (m/h/dM/MY/d)>"
        )

    def _key(self) -> tuple[object, ...]:
        fields = (self.minute, self.hour, self.day_of_week, self.day_of_month, self.month_of_year)
        return (*map(frozenset, fields), self.nowfun)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, crontab) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> tuple[Any, ...]:
        given = (
            *(self._orig_minute, self._orig_hour, self._orig_day_of_week),
            *(self._orig_day_of_month, self._orig_month_of_year),
        )
        return type(self), given, self._orig_kwargs

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__init__(**state)
        self._orig_kwargs = dict(state)


class solar:
    """Refused: the ticks of a schedule are fixed, and those of the sun are not.

    Raises:
        TypeError: Always.
    """

    def __init__(self, event: str, lat: float, lon: float, **kwargs: Any) -> NoReturn:
        raise TypeError(
            f"solar({event!r}, …) is refused, as the ticks of the sun are no fixed times: give the "
            "task crontab(minute='*/5'), and let it ask a library such as astral whether "
            "the event came"
        )


def maybe_schedule(s: Any, relative: bool = False, app: Any = None) -> Any:
    """A schedule from seconds or a timedelta. Another object stays as it is."""
    if isinstance(s, (int, float)):
        s = datetime.timedelta(seconds=s)
    if isinstance(s, datetime.timedelta):
        return schedule(s, relative, app=app)
    if s is not None:
        s.app = app
    return s


def _given(field: Cronspec | None) -> Cronspec:
    return "*" if field is None else field
