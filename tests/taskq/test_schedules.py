"""Periodic tasks: what the code says of them, and each tick sent exactly once."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import psycopg
import pytest
from django.db import connection
from django.db.models.functions import Now

from pool import clock
from stress.pools import wait_until
from taskq import conf, sql
from taskq.celery import shared_task
from taskq.models import Schedule, Task
from taskq.queues import Queues
from taskq.schedules import scheduled_at
from taskq.schedules.entries import entries
from taskq.schedules.moves import Move, move
from taskq.schedules.table import Stand, Table, _values
from taskq.schedules.ticker import Ticker
from taskq.schedules.timing import UTC
from taskq.service import Service
from taskq.sql import postgresql_schedules
from tests.taskq.test_plans import explain, indexes, scans_whole_table

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
        settings.TASKQ = {"SCHEDULE": {name: {**HOURLY, **more} for name, more in given.items()}}
        table().synchronise(entries("default"))
        return {row.name: row for row in Schedule.objects.all()}

    return written


def back(name, span):
    """Set a schedule back to its tick so long ago."""
    row = Schedule.objects.annotate(now=Now()).get(name=name)
    row.next_at = next(row.timing.after((row.now - span).astimezone(UTC)))
    row.save()
    return row.next_at


def look(table, *names):
    return table.look(names or [row.name for row in Schedule.objects.all()], 50)


def tick(table, *names):
    """Send what is due, as a keeper does; how many schedules moved."""
    stands = [stand for stand in look(table, *names) if stand.wait <= 0]
    moves = [
        (each, move(row_timing(each), each.next_at, each.now, each.catch_up)) for each in stands
    ]
    return len(table.tick(moves))


def row_timing(stand):
    return Schedule.objects.get(pk=stand.id).timing


def sent():
    return list(Task.objects.order_by("scheduled_at").values_list("scheduled_at", flat=True))


# What the code says


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
    meddled.synchronise(new)
    row = Schedule.objects.get()
    assert (row.payload, row.last_at, row.next_at) == ('[["new"],{}]', due, due + HOUR)
    assert tick(table()) == 0
    assert sent() == [due]


def test_two_pools_that_start_at_once_write_a_new_schedule_once(settings, table, connect):
    settings.TASKQ = {"SCHEDULE": {"a": HOURLY}}
    new = entries("default")
    other = Between(connect().connection, lambda: table().synchronise(new))
    Table(other, sql.schedules_of(connection.vendor)).synchronise(new)
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


# Ticks


def test_a_tick_moves_the_schedule_on_and_sends_the_task_with_its_moment(write, table):
    write(a={"args": ["k"], "queue": "mail", "priority": 7})
    assert tick(table()) == 0
    due = back("a", HOUR - SECOND)
    assert tick(table()) == 1
    (task,) = Task.objects.all()
    assert (task.name, task.payload) == (TICK, '[["k"],{}]')
    assert (task.queue, task.priority, task.max_losses) == ("mail", 7, 3)
    assert task.scheduled_at == task.execute_at == due
    row = Schedule.objects.get()
    assert (row.last_at, row.next_at) == (due, due + HOUR)
    assert tick(table()) == 0


def test_a_schedule_that_sends_nothing_moves_on_too(write, table):
    write(a={"schedule": "every 86400 s", "catch_up": "skip"})
    now = Schedule.objects.annotate(now=Now()).get().now
    if (now - now.replace(hour=0, minute=0, second=0)) < 120 * SECOND:
        pytest.skip("the tick of midnight is in time")
    back("a", 72 * HOUR)
    assert tick(table()) == 1
    assert sent() == []
    row = Schedule.objects.get()
    assert row.last_at is None
    assert row.next_at > now


def test_two_keepers_that_see_the_same_tick_send_it_once(write, table):
    write(a={}, b={})
    for name in "ab":
        back(name, HOUR)
    one, other = table(), table()
    seen = [(one, look(one)), (other, look(other)), (other, look(other))]
    moved = [
        each.tick(
            (stand, move(row_timing(stand), stand.next_at, stand.now, "all")) for stand in stands
        )
        for each, stands in seen
    ]
    assert [len(each) for each in moved] == [2, 0, 0]
    assert len(sent()) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.pause(),
        lambda rows: rows.update(schedule="30 * * * *"),
        lambda rows: rows.update(time_zone="Asia/Kolkata"),
        lambda rows: rows.delete(),
    ],
)
def test_what_changed_since_the_look_is_not_sent(write, table, change):
    write(a={})
    back("a", HOUR)
    (stand,) = look(table())
    change(Schedule.objects.all())
    made = Move([stand.next_at], stand.next_at + HOUR)
    assert table().tick([(stand, made)]) == set()
    assert sent() == []


@pytest.mark.postgresql
def test_a_row_that_somebody_has_locked_keeps_nobody_waiting(write, table, database_url):
    write(a={}, b={})
    for name in "ab":
        back(name, HOUR)
    stands = look(table())
    with psycopg.connect(database_url) as holder:
        holder.execute("SELECT 1 FROM taskq_schedule WHERE name = 'a' FOR UPDATE")
        moved = tick(table())
    assert len(stands) == 2
    assert moved == 1


def test_a_paused_schedule_sends_nothing_and_goes_on_from_now(write, table):
    write(a={"schedule": "* * * * *", "catch_up": "all"})
    back("a", HOUR)
    assert Schedule.objects.filter(name="a").pause() == 1
    assert Schedule.objects.filter(name="a").pause() == 0
    assert tick(table()) == 0
    assert Schedule.objects.filter(name="a").resume() == 1
    row = Schedule.objects.annotate(now=Now()).get()
    assert row.now < row.next_at <= row.now + 60 * SECOND
    assert sent() == []
    assert Schedule.objects.all().resume() == 0


# The keeper's part


@pytest.fixture
def ticker(settings, transactional_db):
    """As a keeper of a pool that just started has it."""
    opened = []

    def make(**given):
        if given:
            settings.TASKQ = {"SCHEDULE": {k: {**HOURLY, **more} for k, more in given.items()}}
        service = Service(settings=conf.settings(), queues=Queues(), alias="default")
        link = service.link("keeper")
        opened.append(link)
        return Ticker(service.plan, link, "default", 10.0)

    yield make
    for link in opened:
        link.close()


def seconds_to(ticker):
    return (ticker.due - clock.now()) / clock.SECOND


def test_without_schedules_nothing_is_asked(ticker):
    ours = ticker()
    assert ours.tick() == 0
    assert ours._link.current is None
    assert ours.due == float("inf")


def test_it_looks_again_when_the_next_is_due_and_at_least_each_heartbeat(ticker):
    ours = ticker(a={"schedule": "0 0 1 1 *"})
    assert ours.tick() == 0
    assert 9 < seconds_to(ours) <= 10
    ours = ticker(b={"schedule": "* * * * * *"})
    ours.tick()
    assert 0 <= seconds_to(ours) <= 1


def test_what_is_left_of_many_missed_ticks_is_sent_at_once(ticker):
    ours = ticker(a={"schedule": "* * * * * *", "catch_up": "all"})
    ours.tick()
    back("a", 150 * SECOND)
    ours.due = 0
    assert ours.tick() == 100
    assert seconds_to(ours) <= 0
    assert ours.tick() >= 50
    assert seconds_to(ours) > 0


def test_a_new_keeper_of_an_old_pool_does_not_put_its_version_back(ticker, settings):
    old = ticker(a={"schedule": "0 * * * *"})
    old.tick()
    new = ticker(a={"schedule": "30 * * * *", "args": ["new"]})
    new.tick()
    again = Ticker(old._plan, old._link, "default", 10.0)
    again.tick()
    row = Schedule.objects.get()
    assert (row.schedule, row.payload) == ("30 * * * *", '[["new"],{}]')
    # Meanwhile the old pool sends what the row says.
    due = back("a", HOUR)
    again.due = 0
    assert again.tick() == 1
    assert Task.objects.get().payload == '[["new"],{}]'
    assert Task.objects.get().scheduled_at == due


def test_a_pool_sends_only_what_its_code_knows(ticker):
    old = ticker(a={}, gone={})
    old.tick()
    new = ticker(a={})
    new.tick()
    back("gone", HOUR)
    new.due = 0
    assert new.tick() == 0
    old.due = 0
    assert old.tick() == 1


def test_a_schedule_that_the_code_cannot_read_is_left_to_others(ticker, caplog):
    ours = ticker(a={}, b={})
    ours.tick()
    for name in "ab":
        back(name, HOUR)
    Schedule.objects.filter(name="a").update(schedule="whenever it suits")
    ours.due = 0
    assert ours.tick() == 1
    assert "'whenever it suits' cannot be read here" in caplog.text
    ours.due = 0
    assert ours.tick() == 0
    assert caplog.text.count("cannot be read") == 1


def test_what_was_missed_is_said(ticker, caplog):
    ours = ticker(a={"schedule": "* * * * *"})
    ours.tick()
    back("a", HOUR)
    ours.due = 0
    assert ours.tick() == 1
    assert "schedule a: ticks since " in caplog.text
    assert "were missed; one task is sent for all of them" in caplog.text


# Exactly once


def contiguous(moments):
    return all(later - sooner == SECOND for sooner, later in pairwise(moments))


def test_ten_thousand_ticks_are_sent_once_each_whatever_dies_when(
    settings, environment, table, transactional_db
):
    """Three keepers, one of which is killed every few milliseconds."""
    given = {"second": {**HOURLY, "schedule": "* * * * * *", "catch_up": "all"}}
    settings.TASKQ = {"SCHEDULE": given}
    table().synchronise(entries("default"))
    first = back("second", 10_000 * SECOND)
    ended = subprocess.run(
        [sys.executable, "-m", "tests.taskq.ticking", "7", "50"],
        env={**environment, "TASKQ_SCHEDULE": json.dumps(given)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) >= 50
    found = sent()
    assert len(found) >= 10_000
    assert Counter(found).most_common(1)[0][1] == 1
    assert found[0] == first
    assert contiguous(found)
    assert Schedule.objects.get().last_at == found[-1]
    print(f"{len(found)} ticks, {ended.stdout.strip()} killed")


def test_pools_tick_on_while_their_keepers_and_supervisors_are_killed(start_pool, runs, drained):
    given = {"second": {"task": TICK, "schedule": "* * * * * *", "catch_up": "all"}}
    # What the pool that is killed as a whole holds is back within the time of drained().
    options = ("-c", 1, "--lease", 3, "--heartbeat", 1)
    pools = [start_pool(*options, TASKQ_SCHEDULE=json.dumps(given)) for _ in range(2)]
    wait_until(lambda: len(runs("start")) >= 2)
    assert min(record["late"] for record in runs("start")) < 0.5  # woken when it is due
    os.kill(pools[0].children("keeper")["keeper"], signal.SIGKILL)
    before = len(runs("start"))
    wait_until(lambda: len(runs("start")) >= before + 2)
    pools[0].kill_all()
    before = len(runs("start"))
    wait_until(lambda: len(runs("start")) >= before + 2)
    Schedule.objects.all().pause()
    drained()
    by_tick = {}
    for record in runs("start"):
        moment = datetime.datetime.fromisoformat(record["tick"])
        by_tick.setdefault(moment, set()).add(record["task"])
    assert contiguous(sorted(by_tick))
    assert {len(those) for those in by_tick.values()} == {1}
    assert len(by_tick) >= 6


def test_a_run_knows_its_tick_also_after_a_loss(start_pool, runs, write):
    write(a={})
    moment = back("a", HOUR - SECOND)
    start_pool("-c", 1, TASKQ_SCHEDULE=json.dumps({"a": HOURLY}))
    (start,) = wait_until(lambda: runs("start"))
    assert datetime.datetime.fromisoformat(start["tick"]) == moment
    assert scheduled_at() is None


@pytest.mark.postgresql
def test_a_look_reads_what_is_due_first_and_a_tick_the_row_itself(transactional_db):
    connection.ensure_connection()
    raw = connection.connection
    raw.execute(
        "INSERT INTO taskq_schedule (name, task, schedule, time_zone, catch_up, payload, queue, "
        "priority, max_losses, next_at) SELECT 's' || n, 't', 'every 60 s', 'UTC', 'all', "
        "'[[],{}]', 'default', 0, 3, now() + n * interval '1 minute' "
        "FROM generate_series(-10, 20000) n"
    )
    raw.execute("ANALYZE taskq_schedule")
    # As the queue's own connections have it.
    raw.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    names = [f"s{number}" for number in range(-10, 20_001)]
    nodes, pages = explain(raw, postgresql_schedules.LOOK, {"names": names, "limit": 10})
    assert indexes(nodes) == {"taskq_schedule_due"}
    assert pages < 50
    id, due = raw.execute("SELECT id, next_at FROM taskq_schedule WHERE name = 's-1'").fetchone()
    stand = Stand(id, "s-1", "every 60 s", "UTC", "all", due, due)
    moves = json.dumps([_values(stand, Move([due], due + HOUR))])
    (statement,) = postgresql_schedules.TICK
    nodes, pages = explain(raw, statement, {"moves": moves})
    assert indexes(nodes) - {"taskq_worker_listens"} == {"taskq_schedule_pkey"}
    assert not scans_whole_table(nodes, "taskq_schedule")
    assert nodes[0]["Actual Rows"] == 1
    # Most are of the catalog, which a new session reads for each index of a task.
    assert pages < 150
