"""Times as the database gives them."""

from __future__ import annotations

import datetime


def stored_moment(stored: datetime.datetime | str) -> datetime.datetime:
    """An aware time. SQLite has them as text, in UTC and without saying so."""
    found = datetime.datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    return found.replace(tzinfo=datetime.UTC) if found.tzinfo is None else found
