"""When the ticks of a schedule are. These are pure functions of moments: nothing here reads a
clock."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol, get_args, runtime_checkable
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from taskq.limits import MAX_SECONDS

UTC = datetime.UTC
SECOND = datetime.timedelta(seconds=1)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
#: The most characters that a schedule's text may have.
TEXT_LENGTH = 255

#: What happens to missed ticks.
CatchUp = Literal["once", "skip", "all"]
CATCH_UP = get_args(CatchUp)

_UNITS = {"s": 1, "second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_EVERY = re.compile(rf"every (?:(\d{{1,11}}) )?({'|'.join(_UNITS)})s?")
_AT = "at "
#: How the text of a cron expression begins in which the day of the month and the day of the week
#: must both match. Cron takes either.
BOTH = "both "
_MEND = (
    'give a cron expression such as "*/5 * * * *" (minute, hour, day of the month, month, '
    "day of the week) or a timedelta of whole seconds"
)


class Timing(Protocol):
    """A schedule, parsed. Ticks are whole seconds, in UTC."""

    @property
    def text(self) -> str:
        """The text that the table stores; :func:`parse` reads it."""

    def after(self, moment: datetime.datetime) -> Iterator[datetime.datetime]:
        """The ticks later than this, in order."""

    def latest(self, moment: datetime.datetime) -> datetime.datetime | None:
        """The last tick that is not later than this, if there ever was one."""

    def before(self, moment: datetime.datetime) -> Iterator[datetime.datetime]:
        """The ticks that are not later than this, the last one first. In an hour that clocks show
        twice there may be one too many or too few."""


@runtime_checkable
class HasTiming(Protocol):
    """An object that stands for a schedule, such as ``crontab()`` of ``taskq.celery``."""

    def as_timing(self, zone: str) -> Timing:
        """When its ticks are. zone: the time zone, unless the object has one of its own.

        Raises ValueError for what no :class:`Timing` can be.
        """


#: What a person may give as a schedule.
Given = str | datetime.timedelta | datetime.datetime | HasTiming


@dataclass(frozen=True)
class Every:
    """Every so many seconds, counted from 1970-01-01 00:00 UTC. So all pools agree on the
    ticks, whenever they started, and an edit of the schedule's other values moves no tick."""

    seconds: int

    @property
    def text(self) -> str:
        return f"every {self.seconds} s"

    def after(self, moment: datetime.datetime) -> Iterator[datetime.datetime]:
        with suppress(OverflowError):  # after the year 9999
            tick = self.latest(moment)
            while True:
                tick += self.seconds * SECOND
                yield tick

    def latest(self, moment: datetime.datetime) -> datetime.datetime:
        return EPOCH + (moment - EPOCH) // (self.seconds * SECOND) * (self.seconds * SECOND)

    def before(self, moment: datetime.datetime) -> Iterator[datetime.datetime]:
        tick = self.latest(moment)
        while True:
            yield tick
            tick -= self.seconds * SECOND


@dataclass(frozen=True)
class At:
    """Once, at this moment, which is in UTC and has whole seconds."""

    moment: datetime.datetime

    @property
    def text(self) -> str:
        return f"{_AT}{self.moment.isoformat()}"

    def after(self, moment: datetime.datetime) -> Iterator[datetime.datetime]:
        if self.moment > moment:
            yield self.moment

    def latest(self, moment: datetime.datetime) -> datetime.datetime | None:
        return self.moment if self.moment <= moment else None

    def before(self, moment: datetime.datetime) -> Iterator[datetime.datetime]:
        if self.moment <= moment:
            yield self.moment


class _Search(CronSim):
    """CronSim, corrected for clocks that change by half an hour (Lord Howe). There CronSim moves
    on by whole hours. It then misses the first half of an hour, or skips what clocks show twice."""

    def advance_hour(self) -> bool:
        moved = super().advance_hour()
        begin = self.dt.replace(minute=0)
        if moved and begin.utcoffset() == self.dt.utcoffset():
            self.dt = begin
        return moved

    def advance_minute(self) -> bool:
        if not self._clocks_change_within_an_hour():
            return super().advance_minute()
        before = self.dt
        while self.dt.minute not in self.minutes:
            self.dt = self.dt.replace(second=0)
            self.tick(seconds=60)
        return self.dt != before

    def _clocks_change_within_an_hour(self) -> bool:
        if self.dt.tzinfo is None:  # CronSim looks for a fixed time of day without its zone
            return False
        later = self.dt.astimezone(UTC) + datetime.timedelta(hours=1)
        return later.astimezone(self.dt.tzinfo).utcoffset() != self.dt.utcoffset()


def _search(
    kind: type[CronSim], expression: str, since: datetime.datetime, reverse: bool = False
) -> CronSim:
    search = kind(expression.removeprefix(BOTH), since, reverse=reverse)
    if expression.startswith(BOTH):
        search.day_and = True
    return search


@dataclass(frozen=True)
class Cron:
    """A cron expression in a time zone, with Debian's rules for clock changes.

    A fixed time of day that clocks skip comes right after the gap. One that clocks show twice
    comes the first time only. With ``*`` in the minutes or hours, ticks follow real time, so
    the distance between them stays the same.

    expression: may begin with ``BOTH``.
    """

    expression: str
    zone: str

    @property
    def text(self) -> str:
        return self.expression

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def after(self, moment: datetime.datetime) -> Iterator[datetime.datetime]:
        # Skipped times can map to the same moment twice. Times that clocks show twice can
        # map to a moment before the start, if that is in their second hour.
        with suppress(OverflowError):  # after the year 9999
            for local in _search(_Search, self.expression, moment.astimezone(self._zone)):
                tick = local.astimezone(UTC)
                if tick > moment:
                    moment = tick
                    yield tick

    def latest(self, moment: datetime.datetime) -> datetime.datetime | None:
        latest = next(self.before(moment), None)
        if latest is None:
            return None
        # Backwards in local time, the search may miss a tick in an hour that comes twice.
        for tick in self.after(latest):
            if tick > moment:
                break
            latest = tick
        return latest

    def before(self, moment: datetime.datetime) -> Iterator[datetime.datetime]:
        local = moment.astimezone(self._zone)
        # With a part of a second, the search includes the moment itself.
        local = local.replace(microsecond=local.microsecond or 1)
        with suppress(OverflowError):  # before the year 1
            for found in _search(CronSim, self.expression, local, reverse=True):
                yield found.astimezone(UTC)


def parse(schedule: object, zone: str = "UTC") -> Timing:
    """Read a schedule: a timedelta, a datetime for one tick, a cron expression, an object that
    stands for one, or a text: a timing's own, or one such as ``every 5 minutes``.

    zone: the name of the time zone for a cron expression, and for a time without one.

    Raises TypeError or ValueError, naming the value and what to give instead. An unknown zone
    raises ZoneInfoNotFoundError, which is a KeyError.
    """
    if isinstance(schedule, datetime.timedelta):
        return _every(schedule, schedule.total_seconds())
    if isinstance(schedule, datetime.datetime):
        return _at(schedule, schedule, zone)
    if isinstance(schedule, HasTiming):
        return schedule.as_timing(zone)
    if not isinstance(schedule, str):
        raise TypeError(f"schedule is {schedule!r}: {_MEND}")
    text = " ".join(schedule.split())
    if (every := _EVERY.fullmatch(text)) is not None:
        return _every(schedule, float(every[1] or 1) * _UNITS[every[2]])
    if len(text) > TEXT_LENGTH:
        raise ValueError(f"schedule has {len(text)} characters: {_MEND}")
    if text.startswith(_AT):
        try:
            moment = datetime.datetime.fromisoformat(text.removeprefix(_AT))
        except ValueError as error:
            mend = 'give a time such as "at 2026-12-31 23:59"'
            raise ValueError(f"schedule is {schedule!r}: {mend}") from error
        return _at(schedule, moment, zone)
    _open(zone)
    try:
        comes = next(_search(CronSim, text, EPOCH + 50 * 365 * 86400 * SECOND), None)
    except CronSimError as error:
        wrong = str(error).lower()
        raise ValueError(f"schedule is {schedule!r}: {_MEND}; it has: {wrong}") from error
    if comes is None:
        raise ValueError(f"schedule is {schedule!r}: {_MEND}; this never comes")
    return Cron(text, zone)


def _open(zone: str) -> None:
    """Raise ValueError for a text that is no zone's name because it names a folder, or is no
    valid name of a file."""
    try:
        ZoneInfo(zone)
    except OSError as error:
        name = "give a zone's name, such as 'America/New_York'"
        raise ValueError(f"time_zone is {zone!r}: {name}") from error


def _every(given: object, seconds: float) -> Every:
    if not (1 <= seconds <= MAX_SECONDS and seconds == int(seconds)):
        raise ValueError(f"schedule is {given!r}: {_MEND}, at least one")
    return Every(int(seconds))


def _at(given: object, moment: datetime.datetime, zone: str) -> At:
    if moment.tzinfo is None:
        _open(zone)
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    try:
        return At(moment.astimezone(UTC).replace(microsecond=0))
    except OverflowError as error:
        raise ValueError(f"schedule is {given!r}: in UTC no datetime can hold it") from error
