"""``run_all()``: which tasks it runs, in which order, and what becomes of errors."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.utils import timezone

from stress.project.shop.models import Order
from taskq.celery import TaskFailed, shared_task
from taskq.exceptions import UnknownTask
from taskq.models import Result, State, Task, Worker
from taskq.task import registry
from taskq.testing import TooManyRuns, advance, assert_enqueued, run_all
from tests.taskq.saying import HOUR, _said, double, say

pytestmark = pytest.mark.django_db


@shared_task
def say_and_pass_on(word, times):
    _said.append(word)
    if times > 1:
        say_and_pass_on.delay(word, times - 1)


@shared_task
def order_and_fail(number):
    Order.objects.create(number=number)
    raise ValueError("no good")


@shared_task(bind=True, max_retries=None)
def retry_for_ever(self):
    raise self.retry(countdown=5)


def test_tasks_run_in_the_order_of_a_pool(said):
    say.apply_async(("late",), countdown=-1)
    say.apply_async(("urgent",), priority=10)
    say.apply_async(("early",), eta=timezone.now() - HOUR)
    run_all()
    assert said == ["urgent", "early", "late"]


def test_what_tasks_send_runs_too(said):
    say_and_pass_on.delay("a", 3)
    assert len(run_all()) == 3
    assert said == ["a", "a", "a"]


def test_only_the_chosen_queues_are_served(said):
    for queue in ("mail", "mail-bulk", "other"):
        say.apply_async((queue,), queue=queue)
    run_all(queues="mail*")
    assert said == ["mail", "mail-bulk"]


def test_an_error_is_raised_at_once_and_written_down(said):
    order_and_fail.delay(1)
    say.delay("after")
    with pytest.raises(ValueError, match="no good") as raised:
        run_all()
    assert raised.value.__notes__[-1].startswith(f"in the task {__name__}.order_and_fail #")
    task = Task.objects.failed().get()
    assert task.error == "ValueError: no good"
    assert "in order_and_fail" in task.traceback
    assert Order.objects.exists()  # as it would be committed by then
    assert said == []
    run_all()
    assert said == ["after"]


def test_an_error_can_be_had_in_the_report():
    order_and_fail.delay(1)
    say.delay("after")
    report = run_all(propagate=False)
    assert [run.outcome for run in report] == ["failed", "succeeded"]
    assert isinstance(report.failed[0].error, ValueError)


def test_what_never_ends_is_an_error_that_says_so():
    say_and_pass_on.delay("a", 10**9)
    with pytest.raises(TooManyRuns, match=r"after 20 runs .*\.say_and_pass_on\..*max_runs"):
        run_all(max_runs=20)
    Task.objects.all().delete()
    retry_for_ever.delay()
    with pytest.raises(TooManyRuns, match=r"retry forever .*: retried"):
        run_all(max_runs=20, forward=None)


def test_as_many_runs_as_may_be_are_fine():
    say_and_pass_on.delay("a", 20)
    assert len(run_all(max_runs=20)) == 20


def test_a_result_is_kept_and_found():
    result = double.delay(21)
    run_all()
    assert result.get(timeout=1) == 42
    assert "/run_all/" in Result.objects.get().worker


def test_a_result_that_cannot_be_kept_fails():
    double.delay("x" * 200_000)
    with pytest.raises(TaskFailed, match="MAX_PAYLOAD"):
        run_all()


@pytest.mark.parametrize("raised", [KeyboardInterrupt, pytest.fail.Exception])
def test_what_is_meant_for_the_test_comes_out(raised, monkeypatch):
    def work():
        raise raised("stop")

    monkeypatch.setattr(registry, "_definitions", dict(registry._definitions))
    shared_task(name="work")(work).delay()
    with pytest.raises(raised):
        run_all(propagate=False)
    assert not Worker.objects.exists()


def test_sys_exit_is_the_tasks_own(monkeypatch):
    monkeypatch.setattr(registry, "_definitions", dict(registry._definitions))
    shared_task(name="work")(_leave).delay()
    assert len(run_all(propagate=False).failed) == 1


def _leave():
    raise SystemExit(3)


def test_a_name_that_is_not_known_is_an_error_at_once():
    Task.objects.create(name="shop.tasks.gone")
    with pytest.raises(UnknownTask, match=r"'shop.tasks.gone'.*tasks.py"):
        run_all()
    assert Task.objects.get().state == State.READY
    assert not Worker.objects.exists()


def test_run_all_within_a_task_is_refused(monkeypatch):
    monkeypatch.setattr(registry, "_definitions", dict(registry._definitions))
    shared_task(name="again")(_run_all).delay()
    with pytest.raises(RuntimeError, match="called by a task"):
        run_all()


def _run_all():
    run_all()


@pytest.mark.parametrize("wrong", [{"forward": -1}, {"forward": "x"}, {"queues": "a,,b"}])
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises((TypeError, ValueError), match=r"forward is|empty queue name"):
        run_all(**wrong)
    with pytest.raises(ValueError, match="time is -5: give a timedelta, or a number of seconds"):
        advance(-5)


def test_tasks_of_djangos_own_run_too():
    if not apps.is_installed("tests.project.native"):
        pytest.skip("neither django.tasks (Django 6.0) nor django-tasks is installed")
    from tests.project.native import tasks as native

    result = native.tell.enqueue("a")
    assert assert_enqueued(native.tell, args=["a"], times=1)[0].queue == "default"
    run_all()
    result.refresh()
    assert result.status == "SUCCESSFUL"
    assert result.return_value[:2] == ["RUNNING", ["a"]]
    assert result.worker_ids == result.return_value[3]
