"""The runs of a task are put together from what its row, its result and the pools have noted."""

from __future__ import annotations

import datetime
import json

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from taskq.dashboard import timeline
from taskq.lookup import LOST, look_up
from taskq.models import Loss, RecentRun, Result, State, Task, Worker
from taskq.task.measures import End

from .site import ran

pytestmark = pytest.mark.django_db

MINUTE = datetime.timedelta(minutes=1)


def line(minutes, kind="ValueError", traceback="Traceback", worker="web-1:4711/worker 1/9"):
    at = timezone.now() - datetime.timedelta(minutes=minutes, seconds=1)
    run = {"worker": worker, "error": kind, "traceback": traceback, "started_at": at.isoformat()}
    return json.dumps(run)


def runs(id):
    return timeline.runs(look_up(id), list(RecentRun.objects.filter(task_id=id)))


def test_a_task_of_which_only_runs_were_noted():
    ran(task_id=5, end=End.RETRIED, minutes=3, attempt=1)
    ran(task_id=5, minutes=1, attempt=2, seconds=1.5)
    ran(task_id=6)
    assert [(run.attempt, run.end) for run in runs(5)] == [(1, End.RETRIED), (2, End.DONE)]
    assert (runs(5)[1].worker, runs(5)[1].pool) == ("worker 1", "web-1:4711")
    assert (runs(5)[1].seconds, runs(5)[1].wait) == (1.5, 0.01)


def test_a_history_and_what_was_noted_are_one_run_each():
    history = "\n".join([line(9), line(6, LOST, "killed by signal 9"), line(3)])
    task = Task.objects.create(
        name="shop.pay",
        state=State.FAILED,
        attempt=3,
        history=history,
        error="ValueError: no",
        traceback="Traceback",
        failed_at=Now(),
    )
    ran(task_id=task.pk, end=End.RETRIED, minutes=9, attempt=1)
    ran(task_id=task.pk, end=End.FAILED, minutes=3, attempt=3)
    found = runs(task.pk)
    assert [(run.attempt, run.end, run.error) for run in found] == [
        (1, End.RETRIED, "ValueError"),
        (None, End.LOST, "killed by signal 9"),
        (3, End.FAILED, "ValueError: no"),
    ]
    assert [len(run.traceback) for run in found] == [1, 0, 1]
    assert found[0].seconds == 0.2


def test_another_worker_at_the_same_time_is_another_run():
    task = Task.objects.create(name="shop.pay", attempt=2, history=line(3))
    ran(task_id=task.pk, end=End.RETRIED, minutes=3, worker="worker 2")
    assert [run.worker for run in runs(task.pk)] == ["worker 1", "worker 2"]


def test_the_last_error_of_a_task_without_a_history_belongs_to_its_last_run():
    task = Task.objects.create(name="shop.pay", attempt=2, error="E: e", traceback="T\nE: e")
    assert [(run.end, run.error) for run in runs(task.pk)] == [(End.RETRIED, "E: e")]
    ran(task_id=task.pk, end=End.RETRIED, minutes=3, attempt=1)
    ran(task_id=task.pk, end=End.RETRIED, minutes=2, attempt=2)
    assert [(run.attempt, run.error) for run in runs(task.pk)] == [(1, ""), (2, "E: e")]
    Task.objects.update(state=State.FAILED, failed_at=Now())
    RecentRun.objects.all().delete()
    assert [(run.end, run.error) for run in runs(task.pk)] == [(End.FAILED, "E: e")]


def test_the_run_in_progress_comes_last():
    worker = Worker.objects.create(
        pk=9, pool="web-1:4711", name="worker 1", host="h", pid=1, lease_expires_at=Now() + MINUTE
    )
    task = Task.objects.create(
        name="shop.pay",
        state=State.RUNNING,
        worker=worker,
        attempt=2,
        error="E: e",
        started_at=Now(),
    )
    found = runs(task.pk)
    assert [(run.running, run.error) for run in found] == [(False, "E: e"), (True, "")]
    assert found[1].worker == "worker 1"


def test_the_run_that_did_it():
    Result.objects.create(
        id=5,
        name="shop.pay",
        payload="[[],{}]",
        queue="default",
        priority=0,
        created_at=Now(),
        started_at=timezone.now() - 2 * MINUTE,
        finished_at=timezone.now() - MINUTE,
        worker="web-1:4711/worker 1/9",
        history=line(9),
        value="1",
    )
    ran(task_id=5, minutes=2, attempt=2, seconds=59.9)
    assert [(run.attempt, run.end, run.seconds) for run in runs(5)] == [
        (None, End.RETRIED, None),
        (2, End.DONE, 59.9),
    ]
    RecentRun.objects.all().delete()
    assert runs(5)[1].seconds == pytest.approx(60, abs=0.1)


STACK = 'Thread 0x1 (most recent call first):\n  File "/srv/a.py", line 3 in pay'


def lost(attempt=1, worker="worker 1"):
    return Loss(
        at=timezone.now(),
        pool="web-1:4711",
        worker=worker,
        attempt=attempt,
        cause="killed by signal 11 (SIGSEGV)",
        stack=STACK,
    )


def test_a_loss_says_the_cause_and_the_stack_of_its_run():
    ran(task_id=5, end=End.LOST, attempt=1, minutes=3)
    ran(task_id=5, end=End.LOST, attempt=2, minutes=2)
    noted = list(RecentRun.objects.all())
    found = timeline.runs(None, noted, [lost(2)])
    assert [(run.attempt, run.error) for run in found] == [
        (1, ""),
        (2, "killed by signal 11 (SIGSEGV)"),
    ]
    assert found[1].traceback[0].text == STACK
    task = Task.objects.create(name="shop.pay", attempt=1, history=line(9, LOST, "killed"))
    found = timeline.runs(look_up(task.pk), [], [lost(), lost(2, "worker 2")])
    assert [(run.attempt, run.worker, bool(run.traceback)) for run in found] == [
        (1, "worker 1", True),
        (2, "worker 2", True),
    ]


def test_a_history_that_was_written_by_hand_is_shown():
    task = Task.objects.create(name="shop.pay", attempt=2, history="by\nhand")
    assert [run.traceback[0].text for run in runs(task.pk)] == ["by", "hand"]
