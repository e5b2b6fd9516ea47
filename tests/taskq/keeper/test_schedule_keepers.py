"""Keepers tick what is due, and each tick is sent exactly once, whatever dies."""

from __future__ import annotations

import datetime
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest
from django.db import connection
from django.utils import timezone

from pool import clock
from stress.rig.pools import wait_until
from taskq import conf
from taskq.keeper.ticker import AT_ONCE, LOOK, TOGETHER, Ticker
from taskq.models import Schedule, Task
from taskq.pool_context import PoolContext
from taskq.schedules import scheduled_at
from taskq.schedules.catch_up import MOST, MOST_IN_ALL
from taskq.schedules.entries import entries
from taskq.task.queues import Queues
from tests.project.lab import tasks
from tests.taskq.scheduling import HOUR, HOURLY, SECOND, TICK, back, sent

# The keeper's part


@pytest.fixture
def ticker(settings, transactional_db):
    """As a keeper of a pool that just started has it."""
    opened = []

    def make(**given):
        if given:
            settings.TASKQ = {"SCHEDULE": {k: {**HOURLY, **more} for k, more in given.items()}}
        context = PoolContext(settings=conf.settings(), queues=Queues(), alias="default")
        session = context.session("keeper")
        opened.append(session)
        return Ticker(context.plan, session, "default")

    yield make
    for session in opened:
        session.close()


def seconds_to(ticker):
    return (ticker.due - clock.now()) / clock.SECOND


def looks_again_in_time(ticker, before):
    """A LOOK after it has looked, which it did since then."""
    pause = clock.nanoseconds(LOOK)
    return before + pause <= ticker.due <= clock.now() + pause


def test_without_schedules_one_query_in_five_seconds_is_asked(ticker, monkeypatch):
    ours = ticker()
    assert ours.tick() == 0  # a keeper's first look also writes the code's schedules
    asked, store = [], ours._session.store()
    monkeypatch.setattr(store.connection, "rows", lambda *each: asked.append(each) or [])
    ours.due, before = 0, clock.now()
    assert ours.tick() == 0
    assert looks_again_in_time(ours, before)
    ours.due = clock.now() + clock.nanoseconds(LOOK)
    assert ours.tick() == 0
    assert len(asked) == 1


def test_it_looks_again_when_the_next_is_due_and_at_least_each_five_seconds(ticker):
    ours, before = ticker(a={"schedule": "0 0 1 1 *"}), clock.now()
    assert ours.tick() == 0
    assert looks_again_in_time(ours, before)
    assert LOOK == 5
    ours = ticker(b={"schedule": "* * * * * *"})
    before = clock.now()
    ours.tick()
    assert before <= ours.due <= clock.now() + clock.SECOND


def test_what_is_left_of_many_missed_ticks_is_sent_at_once(ticker):
    ours = ticker(a={"schedule": "* * * * * *", "catch_up": "all"})
    ours.tick()
    back("a", 150 * SECOND)
    ours.due = 0
    assert ours.tick() == 100
    assert seconds_to(ours) <= 0
    before = clock.now()
    assert ours.tick() >= 50
    assert ours.due > before


def test_a_new_keeper_of_an_old_pool_does_not_put_its_version_back(ticker, settings):
    old = ticker(a={"schedule": "0 * * * *"})
    old.tick()
    new = ticker(a={"schedule": "30 * * * *", "args": ["new"]})
    new.tick()
    again = Ticker(old._plan, old._session, "default")
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


def ancient(name):
    """Set a schedule to a tick that is centuries ago, as somebody has typed it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE taskq_schedule SET next_at = '1026-11-30 10:00:00' WHERE name = %s", [name]
        )


def test_of_centuries_of_missed_ticks_the_last_are_sent_and_the_log_says_so(ticker, caplog):
    ours = ticker(a={"schedule": "* * * * *", "catch_up": "all"})
    ours.tick()
    ancient("a")
    ours.due, total = 0, 0
    while (more := ours.tick()) or seconds_to(ours) <= 0:
        assert more <= MOST
        total += more
    assert MOST_IN_ALL <= total <= MOST_IN_ALL + 2
    (said,) = [text for text in caplog.messages if "passed over" in text]
    assert "schedule a: ticks since 1026-11-30 10:00:00 UTC were missed; the last 20,000" in said
    assert re.search(r"about 52\d,\d{3},\d{3} before them are passed over", said)


def test_other_schedules_tick_while_many_are_far_behind(ticker):
    behind = {
        f"behind {n}": {"schedule": "* * * * *", "catch_up": "all"} for n in range(TOGETHER + 5)
    }
    ours = ticker(**behind, other={"args": ["other"]})
    ours.tick()
    for name in behind:
        ancient(name)
    back("other", HOUR)
    ours.due = 0
    other = Task.objects.filter(payload__contains="other")
    for _ in range(10):  # each look takes one of the others at least out of its way
        if not other.exists():
            assert 0 < ours.tick() <= AT_ONCE
            assert seconds_to(ours) <= 0
    assert other.count() == 1


def test_a_pool_that_is_centuries_behind_goes_on_with_all_else(start_pool, runs, write):
    given = {"second": {**HOURLY, "schedule": "* * * * * *", "catch_up": "all", "priority": -1}}
    pool = start_pool("-c", 1, TASKQ_SCHEDULE=json.dumps(given))
    wait_until(lambda: Schedule.objects.exists())
    ancient("second")
    late = Task.objects.filter(scheduled_at__lt=timezone.now())
    pool.wait_for_log("are passed over")
    tasks.quick.delay("innocent")
    wait_until(lambda: runs("end", "innocent"))
    assert late.count() <= MOST_IN_ALL
    assert "late" not in pool.log()


# Exactly once


def contiguous(moments):
    return all(later - sooner == SECOND for sooner, later in pairwise(moments))


def test_ten_thousand_ticks_are_sent_once_each_whatever_dies_when(
    settings, environment, table, transactional_db
):
    """Three keepers, one of which is killed every few milliseconds."""
    given = {"second": {**HOURLY, "schedule": "* * * * * *", "catch_up": "all"}}
    settings.TASKQ = {"SCHEDULE": given}
    table().synchronize(entries("default"))
    first = back("second", 10_000 * SECOND)
    ended = subprocess.run(
        [sys.executable, "-m", "tests.taskq.ticking", "7", "50"],
        env={**environment, "TASKQ_SCHEDULE": json.dumps(given)},
        capture_output=True,
        text=True,
        timeout=300,
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
    options = ("-c", 1, "--lease", 6, "--heartbeat", 1)
    pools = [start_pool(*options, TASKQ_SCHEDULE=json.dumps(given)) for _ in range(2)]

    def two_more():
        """Ticks, not runs: a task whose worker is killed runs once more."""
        before = len({record["tick"] for record in runs("start")})
        wait_until(lambda: len({record["tick"] for record in runs("start")}) >= before + 2)

    two_more()
    wait_until(
        lambda: min(record["late"] for record in runs("start")) < 0.5, what="one starts when due"
    )
    os.kill(pools[0].children("keeper")["keeper"], signal.SIGKILL)
    two_more()
    pools[0].kill_all()
    two_more()
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
    yearly = {"schedule": "0 0 1 1 *"}  # no other tick is due before the pool looks
    write(a=yearly)
    moment = back("a", 366 * 24 * HOUR)
    start_pool("-c", 1, TASKQ_SCHEDULE=json.dumps({"a": {**HOURLY, **yearly}}))
    (start,) = wait_until(lambda: runs("start"))
    assert datetime.datetime.fromisoformat(start["tick"]) == moment
    assert scheduled_at() is None
