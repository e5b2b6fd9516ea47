"""Periodic tasks: when they are due, and how each tick is sent once.

``taskq.task.timing`` computes the ticks of a schedule. ``entries`` collects this deployment's
schedules, ``ticks`` decides what to send now, and ``table`` writes it to the database. The
keeper's ``ticker`` calls them. docs/how-to/schedules.md is for users.
"""

from __future__ import annotations

import datetime

from taskq.task.request import current


def scheduled_at() -> datetime.datetime | None:
    """The tick for which the running task was sent, in UTC: the planned time, not the time of
    the run. None for a task that no schedule sent, and outside of a task."""
    request = current.get()
    return request.scheduled_at if request is not None else None
