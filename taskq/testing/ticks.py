"""Periodic tasks in a test: the ticks of a span of time, sent at once."""

from __future__ import annotations

import datetime
from itertools import takewhile

from django.db import router

from taskq.models import Task
from taskq.schedules.entries import entries
from taskq.values import moment


def send_ticks(
    since: datetime.datetime, until: datetime.datetime, *, using: str | None = None
) -> int:
    """Send the tasks of the site's schedules after ``since`` and up to ``until``, in order of time.

    The tasks are due at once, and each has its tick as ``scheduled_at``. The schedules are those of
    ``schedule=`` and of ``TASKQ["SCHEDULE"]``. Their table is neither read nor written, so paused
    schedules send too.

    Args:
        since: The moment before the first tick. A naive time is in Django's current time zone.
        until: The moment of the last tick. A naive time is in the same zone.
        using: The alias of the database. By default the router decides.

    Returns:
        How many tasks were sent.

    Raises:
        TypeError: ``since`` or ``until`` is no datetime.
        ValueError: ``until`` comes before ``since``.
    """
    since, until = moment("since", since), moment("until", until)
    if until < since:
        raise ValueError(f"until is {until}, before since, {since}: swap them")
    alias = using or router.db_for_write(Task)
    ticks = [
        (tick, entry.columns())
        for entry in entries(alias)
        for tick in takewhile(lambda tick: tick <= until, entry.timing.after(since))
    ]
    ticks.sort(key=lambda each: each[0])
    for tick, columns in ticks:
        Task.objects.using(alias).create(
            name=columns["task"],
            payload=columns["payload"],
            queue=columns["queue"],
            priority=columns["priority"],
            max_losses=columns["max_losses"],
            scheduled_at=tick,
        )
    return len(ticks)
