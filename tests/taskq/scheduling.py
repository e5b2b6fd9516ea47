"""Schedules written, set back and ticked by hand."""

from __future__ import annotations

import datetime
import time

import pytest
from django.db import connection
from django.db.models.functions import Now

from stress.rig.pools import wait_until
from taskq import sql
from taskq.models import Schedule, Task
from taskq.schedules.entries import entries
from taskq.schedules.table import Table
from taskq.task.timing import UTC

SECOND = datetime.timedelta(seconds=1)
HOUR = 3600 * SECOND
TICK = "tests.project.lab.tasks.tick"
HOURLY = {"task": TICK, "schedule": "0 * * * *"}


@pytest.fixture
def table(connect):
    """The table as a keeper sees it; each call over another connection."""

    def make():
        return Table(connect().connection, sql.schedules_of(connection.vendor))

    return make


@pytest.fixture
def write(settings, table):
    """Write these schedules as a pool that starts does; the rows."""

    def written(**given):
        stay_within_the_hour()
        settings.TASKQ = {"SCHEDULE": {name: {**HOURLY, **more} for name, more in given.items()}}
        table().synchronize(entries("default"))
        return {row.name: row for row in Schedule.objects.all()}

    return written


def stay_within_the_hour():
    """No hour ends in the next seconds: an hourly schedule would have one tick more."""
    wait_until(lambda: time.time() % 3600 < 3580, what="the hour has ended")


def back(name, span):
    """Set a schedule back to its tick so long ago."""
    stay_within_the_hour()
    row = Schedule.objects.annotate(now=Now()).get(name=name)
    row.next_at = next(row.timing.after((row.now - span).astimezone(UTC)))
    row.save()
    return row.next_at


def look(table, *names):
    return table.look(names or [row.name for row in Schedule.objects.all()], 50)


def tick(table, *names):
    """Send what is due, as a keeper does; how many schedules moved."""
    stands = [stand for stand in look(table, *names) if stand.wait <= 0]
    return len(table.tick((stand, stand.move()) for stand in stands))


def row_timing(stand):
    return Schedule.objects.get(pk=stand.id).timing


def sent():
    return list(Task.objects.order_by("scheduled_at").values_list("scheduled_at", flat=True))
