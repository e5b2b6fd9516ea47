"""Periodic tasks: when they are due, and how each tick is sent once.

``create()`` and the other functions here make and change schedules at run time.
``taskq.task.timing`` computes the ticks of a schedule. ``entries`` collects this deployment's
schedules, ``catch_up`` decides what to send now, and ``table`` writes it to the database. The
keeper's ``ticker`` calls them. docs/how-to/schedules.md is for users.
"""

from __future__ import annotations

import datetime

from taskq.schedules.data import create, delete, disable, enable, run_now, update
from taskq.schedules.entry import ScheduleError
from taskq.task.request import current

__all__ = [
    "ScheduleError",
    "create",
    "delete",
    "disable",
    "enable",
    "run_now",
    "scheduled_at",
    "update",
]


def scheduled_at() -> datetime.datetime | None:
    """The tick for which the running task was sent, in UTC: the planned time, not the time of
    the run. None for a task that no schedule sent, and outside of a task."""
    request = current.get()
    return request.scheduled_at if request is not None else None
