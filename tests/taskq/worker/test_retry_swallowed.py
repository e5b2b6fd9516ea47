"""A run that called ``retry()`` is retried, also where its code catches what that raises."""

from __future__ import annotations

import sys

import pytest

from stress.project.shop.models import Order
from stress.rig.pools import wait_until
from taskq.celery import MaxRetriesExceededError, Retry, shared_task
from taskq.models import Task
from taskq.testing import run_all
from tests.project.lab import tasks as lab

pytestmark = [pytest.mark.usefixtures("registered"), pytest.mark.django_db]

WARNED = "called retry(), caught the Retry that this raised, and went on"


def warnings(caplog):
    return [each.getMessage() for each in caplog.records if WARNED in each.getMessage()]


def swallow(self, then, **options):
    try:
        try:
            raise KeyError("the bank")
        except KeyError as error:
            self.retry(exc=error, countdown=0, **options)
    except Exception:
        return then()


def boom():
    raise ValueError("of another kind")


@pytest.mark.parametrize(
    ("then", "is_async"), [(lambda: "returned", False), (boom, False), (lambda: "returned", True)]
)
def test_the_task_is_run_again_with_a_warning(then, is_async, caplog):
    runs = []

    def work(self):
        runs.append(self.request.retries)
        return swallow(self, then) if len(runs) < 3 else "done"

    async def work_later(self):
        return work(self)

    options = {"bind": True, "ignore_result": False, "name": "work"}
    result = shared_task(**options)(work_later if is_async else work).delay()
    report = run_all(forward=None)
    assert (runs, result.get(), result.retries) == ([0, 1, 2], "done", 2)
    assert [type(each.error) for each in report.retried] == [KeyError, KeyError]
    assert len(warnings(caplog)) == 2
    assert warnings(caplog)[0].startswith(f"work #{result.id.int} called retry()")


def test_one_that_gave_up_is_not_retried(caplog):
    @shared_task(bind=True, max_retries=1, name="work", ignore_result=False)
    def work(self):
        try:
            self.retry(countdown=0)
        except MaxRetriesExceededError:
            return "gave up"
        except Retry:
            return "dropped"

    result = work.delay()
    report = run_all(forward=None)
    assert (len(report.retried), result.get()) == (1, "gave up")


def test_what_an_atomic_run_wrote_is_rolled_back():
    @shared_task(bind=True, atomic=True, name="work")
    def work(self):
        Order.objects.create(number=self.request.retries)
        if self.request.retries == 0:
            swallow(self, lambda: None)

    work.delay()
    run_all(forward=None)
    assert [order.number for order in Order.objects.all()] == [1]


def test_what_is_no_exception_ends_the_run_as_ever():
    """As a cancel is none."""

    @shared_task(bind=True, name="work")
    def work(self):
        swallow(self, sys.exit)

    work.delay()
    report = run_all(propagate=False)
    assert isinstance(report.failed[0].error, SystemExit)
    assert not Task.objects.pending().exists()


def test_throw_false_returns_the_retry_and_the_run_goes_on(caplog):
    seen = []

    @shared_task(bind=True, name="work", ignore_result=False, max_retries=1)
    def work(self):
        if self.request.retries:
            return "done"
        try:
            raise KeyError("the bank")
        except KeyError:
            seen.append(self.retry(throw=False, countdown=0))
        seen.append("went on")
        return "dropped"

    result = work.delay()
    report = run_all(forward=None)
    assert (type(seen[0]), seen[1], result.get()) == (Retry, "went on", "done")
    assert [type(each.error) for each in report.retried] == [KeyError]
    assert not warnings(caplog)


def test_throw_true_is_what_it_does_anyway_and_too_many_raise_in_both():
    @shared_task(bind=True, name="work", max_retries=0)
    def work(self, **options):
        self.retry(**options)

    for throw in (True, False):
        work.delay(throw=throw)
        (failed,) = run_all(propagate=False).failed
        assert isinstance(failed.error, MaxRetriesExceededError)
    with pytest.raises(Retry):
        work(throw=False)


def test_options_of_a_retry_that_are_not_here_are_refused():
    @shared_task(bind=True, name="work")
    def work(self, **options):
        self.retry(countdown=0, **options)

    with pytest.raises(Retry):
        work(args=None, kwargs=None, queue=None, serializer="json", shadow="x")
    with pytest.raises(TypeError, match="has no 'stamped_headers' here"):
        work(stamped_headers=["x"])


def test_eager_runs_are_retried_too(settings, caplog):
    settings.CELERY_TASK_ALWAYS_EAGER = True

    @shared_task(bind=True, name="work")
    def work(self):
        return swallow(self, lambda: None) if self.request.retries < 2 else "done"

    result = work.delay()
    assert (result.get(), result.retries) == ("done", 2)
    assert len(warnings(caplog)) == 2
    assert f"work #{result.id} called" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_in_a_pool(start_pool, runs):
    pool = start_pool("-c", 1)
    lab.swallow_retry.delay("a")
    wait_until(lambda: len(runs("end", "a")) == 3, what="it was run three times")
    wait_until(lambda: not Task.objects.exists(), what="it is done")
    assert pool.log().count(WARNED) == 2
