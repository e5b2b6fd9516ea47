"""Checks of values that people give, and times as the database returns them."""

from __future__ import annotations

import datetime
import re

from django.utils import timezone

from taskq.limits import MAX_SECONDS, QUEUE_LENGTH

MIN_PRIORITY, MAX_PRIORITY = -100, 100

#: A time as a statement returns it: a datetime, its text, or microseconds since 1970.
Stored = datetime.datetime | str | int

#: What no database holds: NUL, and lone surrogates. Python makes the latter of a file name
#: that is no UTF-8.
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")
#: What to give, after a number of characters.
STORABLE = "without NUL or lone surrogates"

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def stored_moment(stored: Stored) -> datetime.datetime:
    """An aware time. SQLite returns a text in UTC without an offset. Raises ValueError when no
    datetime can hold the time, such as PostgreSQL's infinity."""
    if isinstance(stored, int):
        return _EPOCH + datetime.timedelta(microseconds=stored)
    try:
        found = datetime.datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    except ValueError as error:
        raise ValueError(f"{stored!r} is no time that a datetime holds") from error
    return found.replace(tzinfo=datetime.UTC) if found.tzinfo is None else found


def moment(name: str, value: datetime.datetime) -> datetime.datetime:
    """A time in UTC. A naive one is in Django's current time zone."""
    if not isinstance(value, datetime.datetime):
        raise TypeError(f"{name} is {value!r}: give a datetime")
    try:
        aware = timezone.make_aware(value) if timezone.is_naive(value) else value
        return aware.astimezone(datetime.UTC)
    except OverflowError as error:
        raise ValueError(f"{name} is {value!r}: in UTC no datetime can hold it") from error


def seconds(
    name: str, value: float | datetime.timedelta, *, also: str = "a timedelta or "
) -> float:
    """A number of seconds. It may be below 0, because a moment may have passed."""
    if isinstance(value, datetime.timedelta):
        value = value.total_seconds()
    check_seconds(name, value, least=-MAX_SECONDS, also=also)
    return value


def check_priority(priority: object) -> None:
    """Raise unless this is a priority, by the rules of Django's tasks."""
    whole = isinstance(priority, int) and not isinstance(priority, bool)
    good = whole and MIN_PRIORITY <= priority <= MAX_PRIORITY  # type: ignore[operator]
    require(
        good, "priority", priority, f"give a whole number from {MIN_PRIORITY} to {MAX_PRIORITY}"
    )


def check_seconds(name: str, value: object, *, least: float = 0, also: str = "") -> None:
    """Raise unless this is a number of seconds between ``least`` and three centuries.

    also: other types that the caller accepts, for the message.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # The range excludes NaN, and a huge int does not overflow in a comparison.
    good = number and least <= value <= MAX_SECONDS  # type: ignore[operator]
    require(good, name, value, f"give {also}a number of seconds from {least} to {MAX_SECONDS}")


def check_max_retries(name: str, value: object, none: str = "no limit") -> None:
    """Raise unless this is a number of retries, or None. none: what None means, for the message."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    good = value is None or (whole and value >= 0)  # type: ignore[operator]
    require(good, name, value, f"give a whole number from 0, or None for {none}")


def is_storable(text: str, most: int) -> bool:
    """Whether this is a text of 1 to ``most`` characters that a database can hold."""
    return 0 < len(text) <= most and _NOT_STORABLE.search(text) is None


def check_queue(queue: object) -> None:
    """Raise ValueError or TypeError unless this is a valid name for a queue."""
    if not isinstance(queue, str):
        raise TypeError(f"queue is {queue!r}: give its name as a str")
    if not is_storable(queue, QUEUE_LENGTH):
        raise ValueError(f"queue is {queue!r}: give 1 to {QUEUE_LENGTH} characters, {STORABLE}")
    if "," in queue or "*" in queue:
        raise ValueError(f"queue is {queue!r}: a comma or a star cannot be in it, -Q uses them")


def require(good: object, name: str, value: object, mend: str) -> None:
    """Raise an error with the name, the value and what to give instead, unless ``good``."""
    if not good:
        kind = ValueError if isinstance(value, (int, float, str, dict)) else TypeError
        raise kind(f"{name} is {value!r}: {mend}")
