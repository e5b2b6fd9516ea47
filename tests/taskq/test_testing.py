"""taskq.testing: tasks run in the test's own process and transaction."""

from __future__ import annotations

import datetime
import functools

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction
from django.test import TestCase, TransactionTestCase
from django.utils import timezone

from stress.project.shop.models import Order
from taskq import registry
from taskq.celery import AsyncResult, TaskFailed, shared_task
from taskq.context import current
from taskq.exceptions import UnknownTask
from taskq.models import Result, State, Task, Worker
from taskq.testing import TooManyRuns, advance, assert_enqueued, captured_tasks, run_all, send_ticks

HOUR = datetime.timedelta(hours=1)


@pytest.fixture(autouse=True)
def said():
    """What the tasks said that ran in the test."""
    del _said[:]
    return _said


_said: list[object] = []


@shared_task
def say(word, at=None):
    _said.append(word)


@shared_task
def say_and_pass_on(word, times):
    _said.append(word)
    if times > 1:
        say_and_pass_on.delay(word, times - 1)


@shared_task
def order(number):
    Order.objects.create(number=number)


@shared_task
def order_and_fail(number):
    Order.objects.create(number=number)
    raise ValueError("no good")


@shared_task(atomic=True, autoretry_for=(ValueError,), max_retries=1, default_retry_delay=60)
def order_atomically(number, succeed=True):
    Order.objects.create(number=number)
    _said.append(current.get().retries)
    if not succeed:
        raise ValueError("no good")


@shared_task(autoretry_for=(ValueError,), retry_backoff=60, retry_jitter=False, max_retries=2)
def fail(text="no good"):
    _said.append(text)
    raise ValueError(text)


@shared_task(bind=True, max_retries=None)
def retry_for_ever(self):
    raise self.retry(countdown=5)


@shared_task(bind=True)
def retry_at(self, eta):
    if not self.request.retries:
        raise self.retry(exc=ValueError("not yet"), eta=eta)
    _said.append("done")


@shared_task
async def count_orders():
    _said.append(await Order.objects.acount())


@shared_task(ignore_result=False)
def double(number):
    return 2 * number


@shared_task
def order_twice_and_fail(number):
    Order.objects.create(number=number)
    Order.objects.create(number=number)


class InATestCase(TestCase):
    """As a Django project has it: the transaction of the test is rolled back after it."""

    def test_what_was_sent_runs_within_the_tests_transaction(self):
        with transaction.atomic():
            Order.objects.create(number=1)
            order.delay(2)
        report = run_all()
        assert [run.name for run in report] == [f"{__name__}.order"]
        assert Order.objects.count() == 2
        assert not Task.objects.exists()
        assert not Worker.objects.exists()

    def test_what_was_rolled_back_does_not(self):
        with transaction.atomic():
            order.delay(1)
            transaction.set_rollback(True)
        assert len(run_all()) == 0
        assert not Order.objects.exists()

    def test_a_broken_transaction_is_the_tasks_alone(self):
        result = order_twice_and_fail.delay(1)
        with pytest.raises(IntegrityError):
            run_all()
        assert Task.objects.get(pk=result.id.int).state == State.FAILED
        order.delay(2)
        assert len(run_all().succeeded) == 1
        assert not Worker.objects.exists()


class WithoutATransaction(TransactionTestCase):
    def test_it_does_the_same(self):
        order.delay(1)
        order_atomically.delay(2, succeed=False)
        report = run_all(propagate=False, forward=None)
        assert [run.outcome for run in report] == ["succeeded", "retried", "failed"]
        assert Order.objects.get().number == 1
        assert not connection.in_atomic_block


pytestmark = pytest.mark.django_db


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


def test_an_atomic_tasks_effects_go_with_its_failure(said):
    order_atomically.delay(1, succeed=False)
    assert len(run_all().retried) == 1
    assert not Order.objects.exists()
    order_atomically.delay(2)
    run_all()
    assert Order.objects.get().number == 2


def test_a_retry_waits_for_its_time(said):
    fail.delay()
    report = run_all()
    assert [run.outcome for run in report] == ["retried"]
    assert str(report.retried[0].error) == "no good"
    assert len(run_all()) == 0
    advance(59)
    assert len(run_all()) == 0
    advance(datetime.timedelta(seconds=1.1))
    assert len(run_all()) == 1
    advance(119)
    assert len(run_all()) == 0
    advance(1.1)
    with pytest.raises(ValueError, match="no good"):
        run_all()
    assert Task.objects.get().retries == 2


def test_forward_runs_each_in_its_turn(said):
    say.apply_async(("in an hour",), countdown=3600)
    say.apply_async(("in a minute",), countdown=60)
    fail.apply_async(("again and again",), countdown=30)  # at 30, 90 and 210 seconds
    run_all(forward=120)
    assert said == ["again and again", "in a minute", "again and again"]
    (left,) = Task.objects.filter(name__endswith="say")
    waits = (left.execute_at - timezone.now()).total_seconds()
    assert 3420 < waits < 3480.5  # all of the 120 seconds have passed


def test_forward_without_an_end_runs_all_there_is(said):
    say.apply_async(("in a year",), countdown=365 * 86400)
    retry_at.delay(timezone.now() + HOUR)
    report = run_all(forward=None)
    assert said == ["done", "in a year"]
    assert [str(run.error) for run in report.retried] == ["not yet"]


def test_an_expired_task_is_dropped(said):
    say.apply_async(("late",), expires=60)
    advance(61)
    assert [run.outcome for run in run_all()] == ["expired"]
    assert said == []
    assert not Task.objects.exists()


def test_what_never_ends_is_an_error_that_says_so():
    say_and_pass_on.delay("a", 10**9)
    with pytest.raises(TooManyRuns, match=r"after 20 runs .*\.say_and_pass_on\..*max_runs"):
        run_all(max_runs=20)
    Task.objects.all().delete()
    retry_for_ever.delay()
    with pytest.raises(TooManyRuns, match=r"retry for ever .*: retried"):
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


def test_an_async_task_sees_what_the_test_wrote(said):
    Order.objects.create(number=1)
    count_orders.delay()
    run_all()
    assert said == [1]
    assert Order.objects.exists()  # the test's transaction is still there


def test_callbacks_of_on_commit_are_called_when_a_worker_would_have_committed(said, monkeypatch):
    def work(*, fail=False):
        with transaction.atomic():
            transaction.on_commit(functools.partial(_said.append, "committed"))
        _said.append("worked")
        if fail:
            raise ValueError

    monkeypatch.setattr(registry, "_definitions", dict(registry._definitions))
    transaction.on_commit(functools.partial(_said.append, "the test's own"))
    plain = shared_task(name="plain")(work)
    atomic = shared_task(name="atomic", atomic=True)(work)
    plain.delay()
    run_all()
    atomic.delay()
    run_all()
    assert said == ["worked", "committed"] * 2
    del said[:]
    atomic.delay(fail=True)
    run_all(propagate=False)
    assert said == ["worked"]


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


# The clock


def test_time_passes_for_all_that_is_kept():
    result = double.delay(1)
    say.apply_async(("later",), countdown=3600, expires=7200)
    run_all()
    before = Task.objects.get()
    finished = Result.objects.get().finished_at
    advance(HOUR)
    after = Task.objects.get()
    assert before.execute_at - after.execute_at == HOUR
    assert before.expires_at - after.expires_at == HOUR
    assert finished - Result.objects.get().finished_at == HOUR
    assert Task.objects.pending().count() == 1
    assert result.get(timeout=0) == 2


def test_a_lease_is_left_as_it_is():
    lease = timezone.now() + HOUR
    Worker.objects.create(pool="p", name="w", host="h", pid=1, lease_expires_at=lease)
    advance(HOUR)
    assert abs(Worker.objects.get().lease_expires_at - lease) < datetime.timedelta(seconds=1)


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
        f"{__name__}.say",
        [datetime.date(2026, 5, 1)],
        {"at": 1},
    )
    assert (task.queue, task.priority, task.expires) == ("mail", 3, None)
    assert abs(task.due - timezone.now()) < datetime.timedelta(seconds=10)
    assert str(task) == f"{__name__}.say(datetime.date(2026, 5, 1), at=1) on 'mail'"
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
    assert len(assert_enqueued(f"{__name__}.say", times=2)) == 2
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


# Django's own tasks


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


# Periodic tasks


@shared_task(name="tests.testing.note_tick", bind=True)
def note_tick(self, word):
    _said.append((word, self.request.scheduled_at))


BERLIN_SUMMER = datetime.timezone(2 * HOUR)


@pytest.fixture
def schedule(settings):
    settings.TIME_ZONE = "Europe/Berlin"
    common = {"task": "tests.testing.note_tick"}
    settings.TASKQ = {
        **settings.TASKQ,
        "SCHEDULE": {
            "nightly": {**common, "schedule": "0 3 * * *", "args": ["night"], "queue": "slow"},
            "hourly": {**common, "schedule": HOUR, "args": ["hour"]},
        },
    }


@pytest.mark.django_db
def test_the_ticks_of_a_span_are_sent_in_order_and_know_their_times(schedule, said):
    since = datetime.datetime(2030, 6, 3, 1, tzinfo=BERLIN_SUMMER)
    assert send_ticks(since, since + 2 * HOUR) == 3
    assert Task.objects.filter(queue="slow").count() == 1
    assert len(run_all().succeeded) == 3
    assert sorted(said) == [
        ("hour", since + HOUR),
        ("hour", since + 2 * HOUR),
        ("night", since + 2 * HOUR),
    ]


@pytest.mark.django_db
def test_a_span_that_goes_on_where_the_last_ended_sends_each_tick_once(schedule):
    since = datetime.datetime(2030, 6, 3, 1)
    assert sum(send_ticks(since + n * HOUR, since + (n + 1) * HOUR) for n in range(24)) == 25


@pytest.mark.django_db
def test_a_span_that_ends_before_it_begins_is_refused(schedule):
    now = timezone.now()
    with pytest.raises(ValueError, match=r"until is .* before since, .*: swap them"):
        send_ticks(now, now - HOUR)
    with pytest.raises(TypeError, match="since is 5: give a datetime"):
        send_ticks(5, now)
