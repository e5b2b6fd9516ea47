"""Periodic tasks: when they are due, and sending each tick once.

``timing`` says when the ticks of a schedule are, ``entries`` which schedules this
deployment has, ``moves`` which ticks are to be sent now, ``table`` does that in the
database, and ``ticker`` is the keeper's part in it. docs/how-to/schedules.md is for users.
"""

from __future__ import annotations

import datetime

from taskq.task.request import current


def scheduled_at() -> datetime.datetime | None:
    """The tick that the task in progress was sent for, in UTC: when it was to be, and not
    when it came to it. None for a task that no schedule sent, and outside of any."""
    request = current.get()
    return request.scheduled_at if request is not None else None
