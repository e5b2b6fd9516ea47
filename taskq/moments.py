"""Times as the database gives them."""

from __future__ import annotations

import datetime

#: A time, its text, or microseconds since 1970: as a statement returns it.
Stored = datetime.datetime | str | int

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def stored_moment(stored: Stored) -> datetime.datetime:
    """An aware time. SQLite has them as text, in UTC and without saying so. Raises ValueError
    for one that no datetime holds, such as PostgreSQL's infinity."""
    if isinstance(stored, int):
        return _EPOCH + datetime.timedelta(microseconds=stored)
    try:
        found = datetime.datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    except ValueError as error:
        raise ValueError(f"{stored!r} is no time that a datetime holds") from error
    return found.replace(tzinfo=datetime.UTC) if found.tzinfo is None else found
