"""A tick sends its task and moves its schedule on, and does so once."""

from __future__ import annotations

import json

import psycopg
import pytest
from django.db import connection
from django.db.models.functions import Now

from taskq.models import Schedule, Task
from taskq.schedules.catch_up import Move, move
from taskq.schedules.table import Stand, _values
from taskq.sql.postgresql import schedules
from tests.taskq.scheduling import HOUR, SECOND, TICK, back, look, row_timing, sent, tick
from tests.taskq.sql.plans import explain, indexes, scans_whole_table


def test_a_tick_moves_the_schedule_on_and_sends_the_task_with_its_moment(write, table):
    write(a={"args": ["k"], "queue": "mail", "priority": 7})
    assert tick(table()) == 0
    due = back("a", HOUR)
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
    before = Schedule.objects.annotate(now=Now()).get().now
    assert Schedule.objects.filter(name="a").resume() == 1
    row = Schedule.objects.annotate(now=Now()).get()
    assert before < row.next_at <= row.now + 60 * SECOND
    assert sent() == []
    assert Schedule.objects.all().resume() == 0


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
    values = {"names": names, "limit": 10, "late": ["s-10"], "refused": [7]}
    nodes, pages = explain(raw, schedules.LOOK, values)
    assert indexes(nodes) == {"taskq_schedule_due"}
    assert pages < 50
    nodes, pages = explain(raw, schedules.LOOK_LATE, {"limit": 10, "late": ["s-9"], "refused": []})
    assert not scans_whole_table(nodes, "taskq_schedule")
    assert pages < 50
    bad = {"id": 7, "expected": "", "schedule": "", "time_zone": "", "error": "no"}
    nodes, _ = explain(raw, schedules.MARK, bad)
    assert indexes(nodes) == {"taskq_schedule_pkey"}
    id, due = raw.execute("SELECT id, next_at FROM taskq_schedule WHERE name = 's-1'").fetchone()
    stand = Stand(id, "s-1", "every 60 s", "UTC", "all", due, due)
    moves = json.dumps([_values(stand, Move([due], due + HOUR))])
    (statement,) = schedules.TICK
    nodes, pages = explain(raw, statement, {"moves": moves})
    assert indexes(nodes) - {"taskq_worker_listens"} == {"taskq_schedule_pkey"}
    assert not scans_whole_table(nodes, "taskq_schedule")
    assert nodes[0]["Actual Rows"] == 1
    # Most are of the catalog, which a new session reads for each index of a task.
    assert pages < 200
