"""What the code says of schedules is written to their rows, by any pool that starts."""

from __future__ import annotations

import dataclasses

from django.db import connection
from django.db.models.functions import Now

from taskq import sql
from taskq.celery import shared_task
from taskq.models import Schedule, Task
from taskq.schedules.entries import entries
from taskq.schedules.table import Table
from tests.taskq.scheduling import HOUR, HOURLY, TICK, back, sent, tick


def test_a_schedule_is_written_with_its_task_and_its_next_tick(write, settings):
    settings.TIME_ZONE = "Europe/Berlin"
    row = write(hourly={"args": ["x"], "queue": "mail", "priority": 7, "catch_up": "skip"})[
        "hourly"
    ]
    assert (row.task, row.schedule, row.time_zone) == (TICK, "0 * * * *", "Europe/Berlin")
    assert (row.queue, row.priority, row.catch_up, row.paused) == ("mail", 7, "skip", False)
    assert row.payload == '[["x"],{}]'
    assert row.last_at is None
    now = Schedule.objects.annotate(now=Now()).get().now
    assert now < row.next_at <= now + HOUR
    assert row.next_at.minute == row.next_at.second == 0


def test_what_changes_in_the_code_changes_in_the_row_and_a_pause_survives(write):
    before = write(a={}, b={})
    Schedule.objects.filter(name="b").pause()
    after = write(a={"args": ["x"]}, b={"schedule": "30 * * * *"})
    assert after["a"].next_at == before["a"].next_at
    assert after["a"].payload == '[["x"],{}]'
    assert after["b"].next_at.minute == 30
    assert after["b"].paused
    assert after["b"].pk == before["b"].pk


def test_a_tick_that_is_due_is_not_lost_when_the_schedule_changes(write):
    write(a={"schedule": "0 0 1 1 *"})
    due = back("a", 366 * 24 * HOUR)
    row = write(a={"schedule": "0 0 * * *"})["a"]
    assert row.next_at == due


def test_a_pool_that_starts_late_sends_what_was_due_before(write, table):
    write(a={})
    due = back("a", HOUR)
    assert write(a={"args": ["x"]})["a"].next_at == due
    assert tick(table()) == 1
    assert Task.objects.get().payload == '[["x"],{}]'


class Between:
    """A connection on which something happens right after the first read."""

    def __init__(self, connection, happen):
        self._connection, self._happen = connection, happen

    def rows(self, statement, values):
        found = self._connection.rows(statement, values)
        if self._happen is not None:
            happen, self._happen = self._happen, None
            happen()
        return found

    def count(self, statement, values):
        return self._connection.count(statement, values)


def test_a_tick_while_a_pool_writes_its_schedules_is_not_undone(write, table, connect):
    write(a={"args": ["old"]})
    due = back("a", HOUR)
    statements = sql.schedules_of(connection.vendor)
    meddled = Table(Between(connect().connection, lambda: tick(table())), statements)
    new = [dataclasses.replace(entry, args=["new"]) for entry in entries("default")]
    meddled.synchronize(new)
    row = Schedule.objects.get()
    assert (row.payload, row.last_at, row.next_at) == ('[["new"],{}]', due, due + HOUR)
    assert tick(table()) == 0
    assert sent() == [due]


def test_two_pools_that_start_at_once_write_a_new_schedule_once(settings, table, connect):
    settings.TASKQ = {"SCHEDULE": {"a": HOURLY}}
    new = entries("default")
    other = Between(connect().connection, lambda: table().synchronize(new))
    Table(other, sql.schedules_of(connection.vendor)).synchronize(new)
    assert Schedule.objects.count() == 1


def test_another_site_time_zone_moves_the_ticks(write, settings):
    before = write(a={"schedule": "0 0 * * *"})["a"]
    settings.TIME_ZONE = "Asia/Kolkata"
    after = write(a={"schedule": "0 0 * * *"})["a"]
    assert (before.next_at.hour, before.next_at.minute) == (0, 0)
    assert (after.next_at.hour, after.next_at.minute) == (18, 30)


def test_what_is_gone_from_the_code_is_removed_a_week_after_nobody_sent_it(write):
    write(a={}, b={}, c={}, d={})
    Schedule.objects.filter(name="d").pause()
    for name, span in [("a", 8 * 24 * HOUR), ("c", 6 * 24 * HOUR), ("d", 8 * 24 * HOUR)]:
        back(name, span)
    assert write(x={}).keys() == {"b", "c", "d", "x"}


def test_a_task_may_say_its_schedule_itself(registered, settings):
    @shared_task(name="own", schedule="*/5 * * * *", catch_up="skip")
    def own(): ...

    @shared_task(name="bound", schedule=HOUR, bind=True)
    def bound(self, key=1): ...

    found = {entry.name: entry for entry in entries("default")}
    assert found["own"].timing.text == "*/5 * * * *"
    assert found["own"].catch_up == "skip"
    assert found["bound"].timing.text == "every 3600 s"
    settings.TASKQ = {"SCHEDULE": {"own": {"task": "own", "schedule": HOUR}, "bound": None}}
    (entry,) = entries("default")
    assert (entry.timing.text, entry.catch_up) == ("every 3600 s", "skip")
    assert entries("other") == []
