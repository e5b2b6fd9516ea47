"""What a test finds sent: ``captured_tasks()``, ``assert_enqueued()``; and the fixtures."""

from __future__ import annotations

import datetime

import pytest
from django.db import transaction
from django.utils import timezone

from taskq.celery import AsyncResult, shared_task
from taskq.testing import advance, assert_enqueued, captured_tasks, run_all
from tests.taskq.saying import fail, say

pytestmark = pytest.mark.django_db


# What was sent


def test_captured_tasks_are_those_of_the_block():
    say.delay("before")
    with captured_tasks() as tasks:
        say.apply_async((datetime.date(2026, 5, 1),), {"at": 1}, queue="mail", priority=3)
        with transaction.atomic():
            say.delay("rolled back")
            transaction.set_rollback(True)
    (task,) = tasks
    assert (task.name, task.args, task.kwargs) == (
        f"{say.__module__}.say",
        [datetime.date(2026, 5, 1)],
        {"at": 1},
    )
    assert (task.queue, task.priority, task.expires) == ("mail", 3, None)
    assert abs(task.due - timezone.now()) < datetime.timedelta(seconds=10)
    assert str(task) == f"{say.__module__}.say(datetime.date(2026, 5, 1), at=1) on 'mail'"
    assert AsyncResult.of(task.id).status == "PENDING"


def test_captured_tasks_can_be_executed_at_the_end(said):
    with captured_tasks(execute=True) as tasks:
        say.delay("a")
        assert said == []
    assert len(tasks) == 1
    assert said == ["a"]


def test_assert_enqueued_returns_those_it_found():
    say.delay((1, 2))
    say.delay("b", at=2)
    assert [each.args for each in assert_enqueued(say)] == [[[1, 2]], ["b"]]
    assert len(assert_enqueued(say, args=[(1, 2)], times=1)) == 1
    assert len(assert_enqueued(say, kwargs={"at": 2}, queue="default")) == 1
    assert len(assert_enqueued(f"{say.__module__}.say", times=2)) == 2
    assert assert_enqueued(fail, times=0) == []


@pytest.mark.parametrize(
    "wrong",
    [{"args": ["c"]}, {"kwargs": {"at": 3}}, {"queue": "mail"}, {"times": 2}, {"times": 0}],
)
def test_assert_enqueued_says_what_waits_instead(wrong):
    say.delay("b", at=2)
    with pytest.raises(AssertionError, match=r"should wait(.|\n)*say\('b', at=2\) on 'default'"):
        assert_enqueued(say, **wrong)


def test_assert_enqueued_of_no_task_is_refused():
    with pytest.raises(TypeError, match="give a task"):
        assert_enqueued(3)


# pytest


def test_the_fixtures_are_the_functions(
    taskq_run_all, taskq_advance, taskq_captured_tasks, taskq_assert_enqueued
):
    functions = (taskq_run_all, taskq_advance, taskq_captured_tasks, taskq_assert_enqueued)
    assert functions == (run_all, advance, captured_tasks, assert_enqueued)


def test_eager_runs_a_task_at_once(taskq_eager, said):
    say.delay("now")
    assert said == ["now"]
    with pytest.raises(ZeroDivisionError):
        shared_task(name=f"{__name__}.divide")(_divide).delay()


def _divide():
    return 1 / 0
