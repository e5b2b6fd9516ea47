"""The queue's clock in a test: that of the database, which a test cannot move. So what the
queue has written down is moved instead, the other way."""

from __future__ import annotations

import datetime

from django.apps import apps
from django.db import models, router, transaction
from django.db.models import F

from taskq.models import Task, Worker
from taskq.models.schedules import Schedule
from taskq.values import check_seconds


def advance(time: float | datetime.timedelta, *, using: str | None = None) -> None:
    """Let time pass for the queue: what is due in an hour is due now, after an hour.

    Each time in its tables is put back by so much: due times, expiries, and since when
    results and failed tasks are kept. The leases of workers are left as they are, whose
    processes live in real time, and so are schedules and the tick that a task is for, as ticks
    are moments (see ``send_ticks()``), and Python's clock. A task sent
    afterwards is due reckoned from the real time, as ever.

    Args:
        time: A timedelta, or seconds; not below 0.
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
