"""Times as the database gives them."""

from __future__ import annotations

import datetime


def stored_moment(stored: datetime.datetime | str) -> datetime.datetime:
    """An aware time. SQLite has them as text, in UTC and without saying so. Raises ValueError
    for one that no datetime holds, such as PostgreSQL's infinity."""
    try:
        found = datetime.datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    except ValueError as error:
        raise ValueError(f"{stored!r} is no time that a datetime holds") from error
    return found.replace(tzinfo=datetime.UTC) if found.tzinfo is None else found
