"""What Celery's schedules have in common: their clock, and when one is due."""

from __future__ import annotations

import datetime
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from taskq.task.timing import UTC, HasTiming, Timing

NOTHING = datetime.timedelta()


class schedstate(NamedTuple):
    """Whether a schedule is due, and the seconds until the next look."""

    is_due: bool
    next: float


class BaseSchedule(HasTiming):
    """What Celery's schedules have in common.

    Args:
        nowfun: Only the time zone of what it returns counts, if it has a name. Ticks go by the
            clock of the database.
        app: The Celery app. Its time zone counts in :meth:`is_due` alone.
    """

    def __init__(
        self, nowfun: Callable[[], datetime.datetime] | None = None, app: Any = None
    ) -> None:
        self.nowfun = nowfun
        self.app = app

    def now(self) -> datetime.datetime:
        if self.nowfun is not None:
            return self.nowfun()
        return datetime.datetime.now(UTC)

    @property
    def tz(self) -> datetime.tzinfo:
        zone = getattr(self.app, "timezone", None)
        return zone if isinstance(zone, datetime.tzinfo) else ZoneInfo(zone or "UTC")

    def remaining_estimate(self, last_run_at: datetime.datetime) -> datetime.timedelta:
        """The time until the tick that follows the last run; below 0 when that has passed."""
        ticks = self._in(zone_name(self.tz) or "UTC").after(in_utc(last_run_at))
        following = next(ticks, None)
        return datetime.timedelta.max if following is None else following - in_utc(self.now())

    @abstractmethod
    def _in(self, zone: str) -> Timing:
        """When its ticks are in this time zone."""

    def is_due(self, last_run_at: datetime.datetime) -> schedstate:
        """Whether a tick has passed since the last run, and the seconds until the next look."""
        remaining = self.remaining_estimate(last_run_at)
        if due := remaining <= NOTHING:
            remaining = self.remaining_estimate(self.now())
        return schedstate(due, max(0.0, remaining.total_seconds()))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, BaseSchedule):
            return other.nowfun == self.nowfun
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.nowfun)


def zone_name(zone: datetime.tzinfo | None) -> str | None:
    """The name of a time zone of zoneinfo or pytz."""
    return getattr(zone, "key", None) or getattr(zone, "zone", None)


def in_utc(moment: datetime.datetime) -> datetime.datetime:
    """In UTC. A naive time is in UTC, as in Celery."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC)
