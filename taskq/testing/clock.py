"""The queue's clock in a test.

The queue uses the clock of the database, which a test cannot move. So a test moves the times in the
tables instead, in the other direction.
"""

from __future__ import annotations

import datetime

from django.apps import apps
from django.db import models, router, transaction
from django.db.models import F

from taskq.models import Task, Worker
from taskq.models.schedules import Schedule
from taskq.values import check_seconds


def advance(time: float | datetime.timedelta, *, using: str | None = None) -> None:
    """Let time pass for the queue: a task that is due in an hour is due after ``advance(3600)``.

    The times in the queue's tables are moved back: due times, expiries, and the times from which
    results and failed tasks are kept. Other times stay. Leases do, because workers live in real
    time. Schedules and a task's ``scheduled_at`` do, because ticks are fixed moments (see
    ``send_ticks()``). Python's clock stays too. So a task that is sent afterwards counts its delay
    from the real time.

    Args:
        time: A timedelta, or seconds. Not below 0.
        using: The alias of the database. By default the router decides.

    Raises:
        TypeError: The time is of a wrong type.
        ValueError: It is below 0, or too large.
    """
    back = datetime.timedelta(seconds=seconds_of("time", time))
    alias = using or router.db_for_write(Task)
    with transaction.atomic(using=alias):
        for model in apps.get_app_config("taskq").get_models():
            times = [
                field.attname
                for field in model._meta.concrete_fields
                if isinstance(field, models.DateTimeField) and field.attname != "scheduled_at"
            ]
            if times and model not in (Worker, Schedule):
                rows = model._default_manager.using(alias)
                rows.update(**{name: F(name) - back for name in times})


def seconds_of(name: str, time: float | datetime.timedelta) -> float:
    """A span of time in seconds. Raises TypeError or ValueError, naming the argument."""
    seconds = time.total_seconds() if isinstance(time, datetime.timedelta) else time
    check_seconds(name, seconds, also="a timedelta, or ")
    return seconds
