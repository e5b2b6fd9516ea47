"""Times in PostgreSQL's SQL."""

from __future__ import annotations

from taskq.limits import MAX_SECONDS


def interval(seconds: str) -> str:
    """SQL for an interval of so many seconds, 0 for NULL.

    The column may hold any float, as people write rows by SQL too. One that no interval can hold
    would fail the whole statement, for all of its rows. So it is limited; NaN is the longest.
    """
    return f"least(greatest({seconds}, 0), {MAX_SECONDS}) * interval '1 second'"
