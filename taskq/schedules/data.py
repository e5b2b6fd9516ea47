"""Schedules as data: made and changed at run time, beside those of the code and the settings.

Pools see a change within ``taskq.keeper.ticker.LOOK`` seconds. A change is part of the transaction
that is open.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from django.db import IntegrityError, connections, router, transaction

from taskq import sql
from taskq.limits import NAME_LENGTH
from taskq.models import Schedule
from taskq.models.schedules import ScheduleQuerySet
from taskq.schedules import entries
from taskq.schedules.entry import KEYS, Entry, ScheduleError, entry_of
from taskq.schedules.table import first_tick
from taskq.task import payload
from taskq.task.limited_timing import LimitedTiming
from taskq.task.timing import UTC
from taskq.values import STORABLE, is_storable, moment, require, stored_moment


class Values(TypedDict, total=False):
    """What a schedule is made of. :func:`create` explains each."""

    task: str
    schedule: Any
    args: Sequence[Any] | None
    kwargs: Mapping[str, Any] | None
    headers: Mapping[str, Any] | None
    queue: str | None
    priority: int | None
    expires: float | datetime.timedelta | None
    catch_up: str | None
    time_zone: str | None
    start_at: datetime.datetime | None
    end_at: datetime.datetime | None
    one_off: bool
    enabled: bool
    description: str


#: The values that are not those of a schedule in the code.
_PLAIN = ("start_at", "end_at", "one_off", "description")


def create(name: str, *, using: str | None = None, **values: Unpack[Values]) -> Schedule:
    """Make a schedule. Pools send its first tick that comes after now.

    Args:
        name: Its name, which no other schedule has.
        using: The alias of the database. By default that of the task's backend or the router's.
        **values: ``task`` and ``schedule`` must be given. ``schedule`` is a cron expression, a
            timedelta, a datetime for one tick, ``crontab()``, or a text such as ``"every 5
            minutes"``. ``args``, ``kwargs``, ``headers``, ``queue`` and ``priority`` are those of
            the task that is sent. ``expires``: seconds after which it is dropped if it has not
            started. ``catch_up``: what happens to missed ticks; by default as the task says.
            ``time_zone``: of a cron expression; by default the site's. ``start_at``, ``end_at``:
            no tick comes before or after. ``one_off``: after one tick it is switched off.
            ``enabled``: False makes it switched off. ``description``: for people.

    Raises:
        ScheduleError: Values are wrong, each with its mend, or the name is taken. It is a
            ValueError.
        TypeError: There is no such value.
    """
    _check_names(values)
    return make(name, values, using=using)


def make(
    name: str, values: Mapping[str, Any], *, using: str | None = None, known: bool = True
) -> Schedule:
    """As :func:`create`. known: refuse a task that this process does not know."""
    entry = check(name, values, known=known)
    row = Schedule(from_code=False)
    using = using or entry.database
    try:
        with transaction.atomic(using=using):
            _set(row, entry, values, _now(using))
            row.save(using=using, force_insert=True)
    except IntegrityError as error:
        if Schedule.objects.using(using).filter(name=name).exists():
            raise ScheduleError({"name": f"{name!r} is the name of another schedule"}) from error
        raise
    return row


def update(name: str, *, using: str | None = None, **values: Unpack[Values]) -> Schedule:
    """Change some values of a schedule. A tick that is due and not yet sent follows the new ones.

    Args:
        name: Its name.
        using: The alias of the database. By default the router decides.
        **values: As for :func:`create`. Values that are not given stay.

    Raises:
        Schedule.DoesNotExist: There is none of this name.
        ScheduleError: Values are wrong, or the code defines this schedule.
        TypeError: There is no such value.
    """
    _check_names(values)
    using = using or router.db_for_write(Schedule)
    with transaction.atomic(using=using):
        row = Schedule.objects.using(using).select_for_update().get(name=name)
        change(row, values, using=using)
    return row


def change(row: Schedule, values: Mapping[str, Any], *, using: str, known: bool = True) -> None:
    """As :func:`update`, for a row that this transaction has locked.

    known: refuse a task that this process does not know.
    """
    entry = check(row.name, values, row=row, known=known)
    _set(row, entry, {**values_of(row, values), **values}, _now(using))
    row.save(using=using)


def check(
    name: str, values: Mapping[str, Any], *, row: Schedule | None = None, known: bool = True
) -> Entry:
    """Check the values of a schedule that is to be made, or those that are to change.

    row: the schedule that is to change. known: refuse a task that this process does not know.

    Raises ScheduleError with all that is wrong.
    """
    if row is None:
        return _checked(name, values, known=known)
    if row.from_code:
        text = f"{row.name!r} is defined by the code: change it there, or disable it"
        raise ScheduleError({"name": text})
    return _checked(name, {**values_of(row, values), **values}, known=known)


def values_of(row: Schedule, without: Mapping[str, object] = {}) -> dict[str, Any]:
    """The values of a schedule, as :func:`create` takes them.

    without: values that are not wanted, so that arguments that nobody can read can be replaced.

    Raises PayloadError if the arguments cannot be read.
    """
    found = {each: getattr(row, each) for each in (*KEYS, *_PLAIN) if hasattr(row, each)}
    found |= {"enabled": not row.paused, "expires": row.expire_seconds}
    if not {"args", "kwargs", "headers"} <= without.keys():
        call = payload.decode_call(row.payload, row.task)
        found |= zip(("args", "kwargs", "headers"), call, strict=True)
    return found


def enable(name: str, *, using: str | None = None) -> bool:
    """Go on with its next tick from now, also for a schedule of the code. Returns whether it was
    off.

    Raises:
        Schedule.DoesNotExist: There is none of this name.
        ValueError: This version of the code cannot read the schedule.
    """
    return _one(name, using).resume() > 0


def disable(name: str, *, using: str | None = None) -> bool:
    """Send nothing for it until it is enabled, also for a schedule of the code. Returns whether
    it was on.

    Raises:
        Schedule.DoesNotExist: There is none of this name.
    """
    return _one(name, using).pause() > 0


def run_now(name: str, *, using: str | None = None) -> None:
    """Send its task once, now, beside its ticks, also if it is disabled.

    Raises:
        Schedule.DoesNotExist: There is none of this name.
    """
    _one(name, using).run_now()


def delete(name: str, *, using: str | None = None) -> None:
    """Remove a schedule.

    Raises:
        Schedule.DoesNotExist: There is none of this name.
        ScheduleError: The code defines it, so that it would come back.
    """
    if name in entries.names():
        text = f"{name!r} is a schedule of the code, so it would come back: disable it"
        raise ScheduleError({"name": text})
    _one(name, using).delete()


def _one(name: str, using: str | None) -> ScheduleQuerySet:
    if not is_storable(name, NAME_LENGTH):  # a query for it would be an error of the driver
        raise Schedule.DoesNotExist(f"no schedule can be called {name!r}")
    rows = Schedule.objects.using(using or router.db_for_write(Schedule)).filter(name=name)
    rows.get()
    return rows


def _check_names(values: Mapping[str, object]) -> None:
    known = Values.__annotations__
    if unknown := sorted(values.keys() - known.keys()):
        raise TypeError(f"a schedule has no {', '.join(unknown)}; known are {', '.join(known)}")


def _checked(name: str, values: Mapping[str, Any], *, known: bool) -> Entry:
    entry, problems = None, {}
    if name in entries.names():
        problems["name"] = f"{name!r} is a schedule of the code: take another name"
    try:
        entry = entry_of(name, {key: values.get(key) for key in KEYS}, known=known)
    except ScheduleError as error:
        problems |= error.problems
    limits: dict[str, datetime.datetime] = {}
    for key in ("start_at", "end_at"):
        try:
            if (value := values.get(key)) is not None:
                limits[key] = moment(key, value)
        except (TypeError, ValueError) as error:
            problems[key] = str(error)
    if len(limits) == 2 and limits["end_at"] < limits["start_at"]:
        problems["end_at"] = f"end_at is {limits['end_at']}, before start_at: give a later time"
    for key in ("one_off", "enabled"):
        value = values.get(key, True)
        try:
            require(isinstance(value, bool), key, value, "use True or False")
        except (TypeError, ValueError) as error:
            problems[key] = str(error)
    described = values.get("description") or ""
    if not isinstance(described, str) or (described and not is_storable(described, len(described))):
        problems["description"] = f"description is {described!r}: give a str, {STORABLE}"
    if entry is None or problems:
        raise ScheduleError(problems)
    return entry


def _set(row: Schedule, entry: Entry, values: Mapping[str, Any], now: datetime.datetime) -> None:
    """Write the values into the row. Its next tick changes only if its ticks do."""
    new, off, before = row.pk is None, row.paused is True, _ticks_of(row)
    for column, value in entry.columns().items():
        setattr(row, column, value)
    for key in ("start_at", "end_at"):
        given = values.get(key)
        setattr(row, key, None if given is None else moment(key, given))
    row.one_off = values.get("one_off", False)
    row.description = values.get("description") or ""
    row.paused = not values.get("enabled", True)
    row.error = ""
    timing = LimitedTiming(entry.timing, row.start_at, row.end_at)
    if new:
        row.next_at = first_tick(timing, now)
    elif off and not row.paused:
        row.next_at = next(timing.after(now), None)
    elif before != _ticks_of(row):
        row.next_at = first_tick(timing, now, row.next_at)


def _ticks_of(row: Schedule) -> tuple[object, ...]:
    return row.schedule, row.time_zone, row.start_at, row.end_at


def _now(using: str) -> datetime.datetime:
    """The database's clock."""
    wrapper = connections[using]
    connection = sql.django_connection(wrapper)
    ((now,),) = connection.rows(sql.schedules_of(wrapper.vendor).NOW, {})
    return stored_moment(now).astimezone(UTC)
