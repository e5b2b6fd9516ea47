"""What users of Celery look for on a task and on what ``delay()`` returns."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone

import taskq.exceptions
from taskq.celery import (
    AsyncResult,
    MaxRetriesExceededError,
    TaskFailed,
    exceptions,
    shared_task,
)
from taskq.models import Result, Task
from taskq.task import registry
from taskq.testing import run_all
from tests.project.lab import tasks as lab

pytestmark = pytest.mark.usefixtures("registered")

FIELDS = ("name", "args", "kwargs", "queue", "worker", "retries", "date_done")


def test_a_task_shows_its_retries_and_the_error_of_too_many():
    @shared_task(bind=True, max_retries=7, default_retry_delay=2)
    def look(self):
        return self.max_retries, self.default_retry_delay, self.MaxRetriesExceededError

    assert look() == (7, 2, MaxRetriesExceededError)
    assert shared_task(max_retries=None)(lab.add.run).max_retries is None


def test_a_task_shows_its_options_and_takes_others():
    options = {
        "queue": "mail", "priority": 5, "max_retries": None, "default_retry_delay": 2,
        "autoretry_for": (KeyError,), "dont_autoretry_for": (ValueError,), "retry_backoff": 3.0,
        "retry_backoff_max": 9, "retry_jitter": False, "retry_kwargs": {"countdown": 1},
        "time_limit": 60, "soft_time_limit": 30, "ignore_result": False, "typing": False,
    }  # fmt: skip
    task = shared_task(**options)(lab.add.run)
    for name, value in options.items():
        assert getattr(task, name) == value
    task.max_retries, task.queue = 9, "bulk"
    assert (task.max_retries, task.queue, task.priority) == (9, "bulk", 5)
    assert registry.find(task.name).options == task.options
    with pytest.raises(ValueError, match="priority is 101"):
        task.priority = 101


def test_a_task_is_applied_here_and_now():
    @shared_task(bind=True, name="work", default_retry_delay=0)
    def work(self, a, b=0):
        if self.request.retries < 2:
            self.retry(exc=KeyError(a))
        return a + b

    result = work.apply((1,), {"b": 2})
    assert (result.get(), result.retries, result.status) == (3, 2, "SUCCESS")
    failed = work.apply(("x", 1))
    assert isinstance(failed.result, TypeError)
    with pytest.raises(TypeError):
        work.apply(("x", 1), throw=True)


def test_a_signature_is_made_with_options(db):
    signature = lab.add.signature((2,), {"b": 3}, queue="mail")
    assert signature == lab.add.s(2, b=3).set(queue="mail")
    assert lab.add.signature((1, 2), immutable=True) == lab.add.si(1, 2)
    signature.delay()
    assert Task.objects.get().queue == "mail"


def test_a_run_knows_its_call_and_may_repeat_it_in_its_retry(db):
    seen = []

    @shared_task(bind=True, name="work")
    def work(self, a, *, b):
        seen.append((self.request.args, self.request.kwargs))
        if self.request.retries == 0:
            request = self.request
            self.retry(args=request.args, kwargs=request.kwargs, queue=request.queue, countdown=0)

    work.delay([1], b=2)
    run_all(forward=None)
    work.apply(([1],), {"b": 2})
    assert seen == [([[1]], {"b": 2})] * 4
    assert (work.request.args, work.request.kwargs) == (None, None)


def test_a_task_finds_the_result_of_one_of_its_own_calls(db):
    result = lab.add.delay(1, 2)
    found = lab.add.AsyncResult(str(result.id))
    assert isinstance(found, AsyncResult)
    assert found == result


def test_a_result_knows_the_call_before_during_and_after_its_run(db):
    result = lab.add.delay(1, b=2)
    for done in (False, True):
        assert (result.name, result.args, result.kwargs) == (lab.add.name, [1], {"b": 2})
        assert (result.queue, result.retries) == ("default", 0)
        assert (result.worker is not None) == (result.date_done is not None) == done
        if not done:
            before = timezone.now()
            run_all()
    assert before - datetime.timedelta(seconds=5) < result.date_done <= timezone.now()
    assert (result.maybe_throw(), result.wait(1), result.get()) == (3, 3, 3)


def test_of_a_task_that_is_not_known_a_result_knows_nothing(db):
    for id in (2**40, "abc"):
        assert [getattr(AsyncResult(id), name) for name in FIELDS] == [None] * len(FIELDS)
        assert AsyncResult(id).maybe_throw() is None


def test_retries_are_counted_of_what_waits_and_of_what_is_done(db):
    @shared_task(bind=True, ignore_result=False, max_retries=5)
    def again(self):
        if self.request.retries < 2:
            self.retry(countdown=0)
        return "done"

    result = again.delay()
    run_all(forward=None)
    assert (result.get(), result.retries) == ("done", 2)


def test_maybe_throw_raises_what_the_task_failed_with(db):
    @shared_task(ignore_result=False)
    def fail():
        raise ValueError("no good")

    result = fail.delay()
    assert result.maybe_throw() is None
    run_all(propagate=False)
    for throw in (result.maybe_throw, result.maybe_reraise, result.get, result.wait):
        with pytest.raises(TaskFailed, match="ValueError: no good"):
            throw()
    assert isinstance(result.maybe_throw(propagate=False), TaskFailed)
    assert result.date_done == Task.objects.get().failed_at


def test_maybe_throw_calls_back_with_the_id_and_the_value(db):
    result = lab.add.delay(1, 2)
    run_all()
    heard = []
    assert result.maybe_throw(callback=lambda id, value: heard.append((id, value))) == 3
    assert heard == [(result.id, 3)]


def test_a_result_that_is_forgotten_is_removed(db):
    result, other = lab.add.delay(1, 2), lab.add.delay(3, 4)
    run_all()
    result.forget()
    assert (result.status, other.get()) == ("PENDING", 7)
    assert Result.objects.get().pk == other.id.int


def test_the_time_out_is_found_on_the_result(db):
    result = lab.add.delay(1, 2)
    with pytest.raises(result.TimeoutError):
        result.get(timeout=0)


def test_an_eager_result_has_the_same(settings):
    settings.CELERY_TASK_ALWAYS_EAGER = True

    @shared_task(bind=True)
    def again(self, a, b=0):
        if self.request.retries < 2:
            self.retry(countdown=0)
        return a + b, self.request.id

    result = again.delay(1, b=2)
    assert (result.name, result.args, result.kwargs) == (again.name, [1], {"b": 2})
    assert (result.queue, result.retries, result.worker) == ("default", 2, None)
    assert result.date_done <= timezone.now()
    assert result.maybe_throw() == result.wait() == result.get() == (3, result.id)
    assert result.forget() is None
    names = {name for name in dir(AsyncResult) if not name.startswith("_")} - {"of"}
    assert names <= set(dir(result))


@pytest.mark.parametrize("name", exceptions.__all__)
def test_an_exception_that_taskq_raises_under_this_name_is_that_one(name):
    found = getattr(exceptions, name)
    assert getattr(taskq.exceptions, name, found) is found
