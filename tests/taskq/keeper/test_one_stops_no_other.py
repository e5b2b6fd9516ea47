"""One schedule, one table or one odd number that the database refuses stops no other."""

from __future__ import annotations

import datetime
import functools
import itertools

import pytest
from django.db import connection
from django.utils import timezone

from pool import clock
from stress.rig.pools import wait_until
from taskq import schedules
from taskq.conf import Settings
from taskq.models import Edge, EdgeState, IdempotencyKey, Result, Schedule, State, Task
from taskq.workflow import Workflow
from tests.project.lab import steps, tasks
from tests.taskq.conftest import keeper_of_no_pool

HOUR = datetime.timedelta(hours=1)
ODD = [float("inf"), float("-inf"), 1e300, -1e300, 5e-324]
if connection.vendor == "postgresql":
    ODD.append(float("nan"))


@pytest.fixture
def keeper(transactional_db):
    found = keeper_of_no_pool(Settings(result_ttl=60.0, idempotency_ttl=60.0))
    yield found
    found.session.close()


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_leases_are_renewed_after_each_duty_that_took_long(keeper, monkeypatch, seconds):
    """Far from the database, all duties together take longer than a lease."""
    done, now = [], [clock.now()]
    monkeypatch.setattr(clock, "now", lambda: now[0])

    def do(what):
        done.append(what)
        now[0] += clock.nanoseconds(seconds)

    keeper.duties = [duty._replace(do=functools.partial(do, duty.what)) for duty in keeper.duties]
    keeper.go_round()
    renewing, *others = (duty.what for duty in keeper.duties)
    if not seconds:
        assert done == [renewing, renewing, *others]
    else:
        pairs = itertools.chain(*((renewing, each) for each in others))
        assert done == [renewing, renewing, *pairs]


def due_schedule(name, **columns):
    schedules.create(name, task=tasks.tick.name, schedule="* * * * *", catch_up="once")
    Schedule.objects.filter(name=name).update(next_at=timezone.now() - HOUR, **columns)


def test_very_many_schedules_that_are_refused_keep_no_other_from_ticking(keeper, refusing):
    """One look reads some of the schedules, those that have been due for longest."""
    refusing("INSERT", "taskq_task", "NEW.queue = 'refused'")
    for number in range(60):
        due_schedule(f"refused {number}", queue="refused")
    due_schedule("good")
    Schedule.objects.filter(name="good").update(next_at=timezone.now() - HOUR / 2)

    def ticked():
        keeper.ticker.due = 0
        keeper.ticker.tick()
        return Task.objects.exists()

    wait_until(ticked, what="the good one ticks")
    assert Task.objects.get().queue == "default"


@pytest.mark.parametrize("seconds", ODD)
def test_a_schedule_whose_tasks_expire_after_an_odd_time_ticks(keeper, seconds):
    due_schedule("odd", expire_seconds=seconds)
    keeper.ticker.tick()
    assert Task.objects.count() == 1
    assert Schedule.objects.all().run_now() == 1


@pytest.mark.parametrize("seconds", ODD)
def test_a_step_with_an_odd_delay_is_released(keeper, seconds):
    flow = Workflow()
    first = flow.add(steps.part, ["a", 1])
    flow.add(steps.part, ["b", first.result])
    part, step = flow.send().task_ids
    Task.objects.filter(pk=step).update(delay=seconds)
    Task.objects.filter(pk=part).delete()
    Edge.objects.update(state=EdgeState.DONE)
    keeper.workflows.tend()
    assert Task.objects.get(pk=step).state == State.READY


def test_a_table_that_cannot_be_pruned_keeps_no_other_from_it(keeper, refusing):
    old = timezone.now() - HOUR
    moments = dict.fromkeys(("created_at", "started_at", "finished_at"), old)
    Result.objects.create(id=1, name="a", payload="", queue="q", priority=0, worker="w", **moments)
    IdempotencyKey.objects.create(name="a", key="k", created_at=old)
    refusing("DELETE", "taskq_result", "true")
    keeper.pruner.due = 0
    keeper.pruner.prune()
    assert Result.objects.exists()
    assert not IdempotencyKey.objects.exists()
