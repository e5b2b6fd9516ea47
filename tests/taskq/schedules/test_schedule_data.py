"""Schedules that are made and changed at run time, and that each of their ticks is sent once."""

from __future__ import annotations

import datetime
import json
import os
import signal

import pytest
from django.db import transaction
from django.db.models.functions import Now

from stress.rig.pools import wait_until
from taskq import schedules
from taskq.models import Schedule, Task
from taskq.schedules.catch_up import Move
from taskq.task.payload import PayloadError
from taskq.task.timing import UTC
from tests.project.lab import tasks
from tests.taskq.scheduling import HOUR, HOURLY, SECOND, TICK, back, sent, tick

NAP = "tests.project.lab.tasks.nap"  # takes a key and seconds


def now():
    return datetime.datetime.now(UTC)


def make(name="mine", schedule="0 * * * *", **values):
    return schedules.create(name, **{"task": TICK, "schedule": schedule, **values})


@pytest.mark.django_db
def test_a_schedule_is_made_with_all_its_values(settings):
    settings.TIME_ZONE = "Europe/Berlin"
    row = make(
        task=NAP,
        args=["x"],
        kwargs={"seconds": 1},
        headers={"a": 1},
        queue="mail",
        priority=7,
        expires=datetime.timedelta(minutes=1),
        catch_up="skip",
        description="each hour",
    )
    row.refresh_from_db()
    assert (row.task, row.schedule, row.time_zone) == (NAP, "0 * * * *", "Europe/Berlin")
    assert row.payload == '[["x"],{"seconds":1},{"a":1}]'
    assert (row.queue, row.priority, row.expire_seconds, row.catch_up) == ("mail", 7, 60, "skip")
    assert (row.from_code, row.paused, row.one_off, row.total_runs) == (False, False, False, 0)
    assert now() < row.next_at <= now() + HOUR
    assert row.description == "each hour"


@pytest.mark.django_db
def test_all_mistakes_are_said_at_once():
    with pytest.raises(schedules.ScheduleError) as refused:
        make(
            task="nope",
            schedule="soon",
            args="x",
            queue="*",
            priority=101,
            expires=0,
            start_at="today",
            one_off=1,
            time_zone="Mars/Base",
        )
    found = refused.value.problems
    assert found.keys() == {
        *("task", "args", "queue", "priority", "expires", "start_at", "one_off", "time_zone")
    }
    for key, text in found.items():
        assert text in str(refused.value)
        assert key in text
    with pytest.raises(TypeError, match="a schedule has no every; known are task, schedule, "):
        make(every=5)


@pytest.mark.django_db
def test_a_name_is_taken_once_and_the_codes_names_are_the_codes(settings):
    make()
    with pytest.raises(schedules.ScheduleError, match="'mine' is the name of another schedule"):
        make()
    settings.TASKQ = {"SCHEDULE": {"hourly": HOURLY}}
    with pytest.raises(schedules.ScheduleError, match="'hourly' is a schedule of the code: take"):
        make("hourly")


@pytest.mark.django_db
def test_a_change_is_part_of_the_transaction():
    with transaction.atomic():
        make()
        transaction.set_rollback(True)
    assert not Schedule.objects.exists()


@pytest.mark.django_db
def test_values_that_are_not_given_stay_and_the_tick_moves_only_with_the_ticks():
    row = make(args=["x"], task=TICK, queue="mail", headers={"a": 1})
    changed = schedules.update("mine", description="new", kwargs={})
    assert changed.payload == '[["x"],{},{"a":1}]'
    assert (changed.next_at, changed.queue, changed.description) == (row.next_at, "mail", "new")
    changed = schedules.update("mine", schedule="30 2 * * *", time_zone="Asia/Kolkata")
    assert (changed.next_at.hour, changed.next_at.minute) == (21, 0)
    with pytest.raises(Schedule.DoesNotExist):
        schedules.update("other", description="")


@pytest.mark.django_db
def test_one_that_is_switched_on_again_goes_on_from_now():
    make(enabled=False)
    back("mine", 5 * HOUR)
    assert schedules.update("mine", description="still off").next_at < now()
    assert schedules.update("mine", enabled=True).next_at > now()


@pytest.mark.django_db
def test_arguments_that_nobody_can_read_can_be_replaced():
    make()
    Schedule.objects.update(payload="broken", error="broken")
    with pytest.raises(PayloadError):
        schedules.update("mine", description="new")
    row = schedules.update("mine", args=[], kwargs={}, headers=None)
    assert (row.payload, row.error) == ("[[],{}]", "")


def test_those_of_the_code_are_switched_off_and_run_but_not_changed(write):
    write(hourly={})
    with pytest.raises(schedules.ScheduleError, match="is defined by the code: change it there"):
        schedules.update("hourly", schedule="1 * * * *")
    with pytest.raises(schedules.ScheduleError, match="would come back: disable it"):
        schedules.delete("hourly")
    assert schedules.disable("hourly")
    assert not schedules.disable("hourly")
    schedules.run_now("hourly")
    assert Task.objects.count() == 1
    assert schedules.enable("hourly")
    assert not Schedule.objects.get().paused


@pytest.mark.django_db
def test_one_is_deleted_and_what_is_not_there_is_said():
    make()
    schedules.delete("mine")
    for act in (schedules.delete, schedules.enable, schedules.disable, schedules.run_now):
        with pytest.raises(Schedule.DoesNotExist):
            act("mine")


def test_code_that_takes_the_name_takes_the_schedule(write):
    make("hourly", one_off=True, start_at=now() + 48 * HOUR, end_at=now() + 72 * HOUR)
    row = write(hourly={"args": ["code"]})["hourly"]
    assert row.from_code
    assert (row.one_off, row.start_at, row.end_at) == (False, None, None)
    assert row.payload == '[["code"],{}]'


def test_it_stays_when_no_pool_has_sent_it_for_weeks(write):
    make()
    back("mine", 30 * 24 * HOUR)
    assert write().keys() == {"mine"}


# Ticks


def test_a_tick_sends_its_task_and_counts_it(table, transactional_db):
    make(args=["k"], queue="mail", expires=90)
    due = back("mine", HOUR)
    assert tick(table()) == 1
    (task,) = Task.objects.annotate(now=Now())
    assert (task.payload, task.queue, task.scheduled_at) == ('[["k"],{}]', "mail", due)
    assert 80 * SECOND < task.expires_at - task.now <= 91 * SECOND
    row = Schedule.objects.get()
    assert (row.last_at, row.next_at, row.total_runs) == (due, due + HOUR, 1)


def test_one_tick_alone_switches_it_off(table, transactional_db):
    make(schedule="* * * * * *", one_off=True, catch_up="all")
    due = back("mine", 50 * SECOND)
    assert tick(table()) == 1
    assert tick(table()) == 0
    assert sent() == [due]
    row = Schedule.objects.get()
    assert (row.paused, row.total_runs) == (True, 1)


def test_nothing_is_sent_before_the_start_or_after_the_end(table, transactional_db):
    moment = now().replace(microsecond=0)
    start, end = moment - 40 * SECOND, moment - 20 * SECOND
    make(schedule="* * * * * *", start_at=start, end_at=end)
    assert Schedule.objects.get().next_at is None
    Schedule.objects.update(next_at=start)
    while tick(table()):
        pass
    assert sent() == [start + number * SECOND for number in range(21)]
    assert Schedule.objects.get().next_at is None
    future = now() + 48 * HOUR
    assert schedules.update("mine", start_at=future, end_at=None).next_at >= future


@pytest.mark.django_db
@pytest.mark.parametrize("ticks", ["0 9 * * *", "* * * * *", HOUR, 30 * SECOND])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_it_may_start_when_time_ends_or_have_started_when_it_began(ticks, zone):
    """Some write these times for "never" and "ever"."""
    never = make("never", ticks, time_zone=zone, start_at=datetime.datetime.max.replace(tzinfo=UTC))
    assert never.next_at is None or never.next_at.year == 9999
    ever = make("ever", ticks, time_zone=zone, start_at=datetime.datetime.min.replace(tzinfo=UTC))
    assert ever.next_at - now() < 25 * HOUR


@pytest.mark.parametrize("past", [True, False])
def test_a_single_moment_is_sent_once_also_one_that_has_passed(table, transactional_db, past):
    moment = (now() - HOUR if past else now()).replace(microsecond=0)
    row = make(schedule=moment)
    assert (row.schedule, row.next_at) == (f"at {moment.isoformat()}", moment)
    assert tick(table()) == 1
    assert tick(table()) == 0
    assert sent() == [moment]
    row = Schedule.objects.get()
    assert (row.next_at, row.last_at) == (None, moment)
    schedules.disable("mine")
    schedules.enable("mine")
    assert tick(table()) == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda: schedules.update("mine", end_at=now() - HOUR),
        lambda: schedules.update("mine", end_at=now() + 48 * HOUR),  # its next tick stays
        lambda: schedules.update("mine", one_off=True),
        lambda: schedules.update("mine", schedule="30 * * * *"),
        lambda: schedules.disable("mine"),
        lambda: schedules.delete("mine"),
    ],
)
def test_what_was_changed_since_the_look_is_not_sent(table, transactional_db, change):
    make()
    back("mine", HOUR)
    ours = table()
    (stand,) = ours.look(["mine"], 50)
    made = Move([stand.next_at], None)
    change()
    assert ours.tick([(stand, made)]) == set()
    assert sent() == []


@pytest.mark.django_db
def test_the_next_five_ticks():
    row = make(schedule="0 3 * * *", time_zone="Asia/Tokyo")
    ticks = row.next_ticks()
    assert len(ticks) == 5
    assert {each.hour for each in ticks} == {18}
    assert ticks[0] == row.next_at
    row = schedules.update("mine", end_at=ticks[1])
    assert row.next_ticks() == ticks[:2]
    assert len(schedules.update("mine", end_at=None, one_off=True).next_ticks()) == 1


# Pools


def test_two_pools_send_each_tick_once_whatever_changes_and_dies(start_pool, runs, drained):
    """A change, the death of a keeper and of a whole pool, in the midst of the ticks."""
    options = ("-c", 1, "--lease", 6, "--heartbeat", 1)
    pools = [start_pool(*options) for _ in range(2)]
    make(schedule="* * * * * *", args=["old"], catch_up="all")

    def more(key):
        before = len([run for run in runs("start") if run["key"] == key])
        wait_until(
            lambda: len([run for run in runs("start") if run["key"] == key]) >= before + 2,
            what=f"two more of {key}",
        )

    more("old")
    schedules.update("mine", args=["new"])
    more("new")
    os.kill(pools[0].children("keeper")["keeper"], signal.SIGKILL)
    more("new")
    pools[0].kill_all()
    more("new")
    schedules.disable("mine")
    drained()
    by_tick = {}
    for record in runs("start"):
        moment = datetime.datetime.fromisoformat(record["tick"])
        by_tick.setdefault(moment, set()).add(record["task"])
    ticks = sorted(by_tick)
    assert {len(those) for those in by_tick.values()} == {1}
    assert ticks == [ticks[0] + number * SECOND for number in range(len(ticks))]
    row = Schedule.objects.get()
    assert (row.total_runs, row.last_at) == (len(ticks), ticks[-1])


def test_a_bad_row_stops_no_other_and_says_what_is_wrong(start_pool, runs):
    make("bad", schedule="* * * * * *", args=["bad"])
    Schedule.objects.update(schedule="whenever it suits")
    make("good", schedule="* * * * * *", args=["good"])
    pool = start_pool("-c", 1)
    wait_until(lambda: len([run for run in runs("start") if run["key"] == "good"]) >= 2)
    wait_until(lambda: "whenever it suits" in Schedule.objects.get(name="bad").error)
    assert Schedule.objects.get(name="good").error == ""
    assert pool.log().count("cannot be read here") == 1
    schedules.update("bad", schedule="* * * * * *")
    wait_until(lambda: [run for run in runs("start") if run["key"] == "bad"])
    assert Schedule.objects.get(name="bad").error == ""


def test_a_pool_that_knows_no_schedule_sends_those_that_are_made(start_pool, runs):
    start_pool("-c", 1)
    tasks.quick.delay("first")
    wait_until(lambda: runs("end", "first"))
    make(schedule="* * * * * *", args=["late"])
    wait_until(lambda: [run for run in runs("start") if run["key"] == "late"])
    assert json.loads(Schedule.objects.get().payload) == [["late"], {}]
