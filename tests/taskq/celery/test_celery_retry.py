"""``task.retry()``: what it raises, when the next run is, and when it gives up."""

from __future__ import annotations

import datetime
import functools

import pytest
from django.utils import timezone

from taskq.celery import MaxRetriesExceededError, Retry, shared_task
from taskq.task import registry
from taskq.task.calling import call
from taskq.task.request import Request
from taskq.task.retries import after
from tests.project.lab import tasks as lab
from tests.taskq.running import run

pytestmark = pytest.mark.usefixtures("registered")


def test_retry_outside_of_a_run_raises_the_error_it_was_given():
    with pytest.raises(ValueError, match="the bank is down"):
        lab.retry_until.retry(exc=ValueError("the bank is down"))


def test_retry_outside_of_a_run_raises_retry():
    with pytest.raises(Retry):
        lab.retry_until.retry()


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"countdown": float("inf")}, ValueError),
        ({"countdown": "soon"}, ValueError),
        ({"eta": "soon"}, TypeError),
    ],
)
def test_retry_that_a_task_makes_itself_is_checked_as_it_is_made(given, error):
    with pytest.raises(error, match=f"{next(iter(given))} is"):
        Retry(**given)


def test_retry_that_a_task_makes_itself_means_what_retry_would_mean():
    assert Retry(countdown=datetime.timedelta(minutes=5)).countdown == 300.0
    assert Retry(countdown=-1).countdown == Retry(countdown=None).countdown == 0.0
    naive = datetime.datetime(2030, 1, 1, 12)
    assert Retry(eta=naive).eta == timezone.make_aware(naive)
    assert Retry(eta=naive, countdown=5).eta is None
    assert Retry(eta=naive, countdown=-1).eta is None


def test_retry_outside_of_a_run_raises_retry_whatever_the_limit():
    @shared_task(max_retries=0)
    def never_again():
        never_again.retry()

    with pytest.raises(Retry):
        never_again()


def test_retry_in_a_task_called_by_the_run_of_another_is_outside_of_a_run():
    @shared_task(bind=True, default_retry_delay=7)
    def inner(self, exc=None):
        self.retry(exc=exc, countdown=1)

    @shared_task
    def outer(exc=None):
        inner(exc)

    with pytest.raises(KeyError):
        run(outer, KeyError("k"))
    with pytest.raises(Retry):
        run(outer)


def test_retry_in_a_run_raises_retry_after_the_default_delay():
    @shared_task(bind=True, default_retry_delay=7)
    def work(self):
        self.retry()

    with pytest.raises(Retry) as caught:
        run(work)
    assert (caught.value.countdown, caught.value.eta, caught.value.exc) == (7, None, None)


def test_retry_is_three_minutes_later_by_default():
    @shared_task(bind=True)
    def work(self):
        self.retry()

    with pytest.raises(Retry) as caught:
        run(work)
    assert caught.value.countdown == 180


@pytest.mark.parametrize(
    ("countdown", "seconds"),
    [(0, 0), (1.5, 1.5), (datetime.timedelta(minutes=1), 60), (-1, 0)],
)
def test_retry_keeps_its_countdown(countdown, seconds):
    @shared_task(bind=True)
    def work(self):
        self.retry(countdown=countdown)

    with pytest.raises(Retry) as caught:
        run(work)
    assert caught.value.countdown == seconds


def test_retry_keeps_its_eta(settings):
    settings.TIME_ZONE = "Europe/Berlin"

    @shared_task(bind=True)
    def work(self, **when):
        self.retry(**when)

    noon = datetime.datetime(2030, 7, 1, 12)
    with pytest.raises(Retry) as caught:
        run(work, eta=noon)
    assert caught.value.eta == datetime.datetime(2030, 7, 1, 10, tzinfo=datetime.UTC)
    with pytest.raises(Retry) as caught:
        run(work, eta=noon, countdown=5)
    assert (caught.value.eta, caught.value.countdown) == (None, 5)


def test_retry_keeps_the_error():
    @shared_task(bind=True)
    def work(self):
        self.retry(exc=KeyError("k"))

    with pytest.raises(Retry) as caught:
        run(work)
    assert isinstance(caught.value.exc, KeyError)


def test_retry_within_an_except_block_keeps_the_error_as_context():
    @shared_task(bind=True)
    def work(self):
        try:
            raise KeyError("k")
        except KeyError as error:
            raise self.retry() from error

    with pytest.raises(Retry) as caught:
        run(work)
    assert isinstance(caught.value.__context__, KeyError)


def test_retry_gives_up_after_three_by_default():
    @shared_task(bind=True)
    def work(self, exc=None):
        self.retry(exc=exc)

    with pytest.raises(Retry):
        run(work, retries=2)
    with pytest.raises(MaxRetriesExceededError, match=r"celery_retry.work was retried 3 times"):
        run(work, retries=3)
    with pytest.raises(KeyError):
        run(work, exc=KeyError("k"), retries=3)


def test_retry_never_gives_up_when_max_retries_of_the_task_is_none():
    @shared_task(bind=True, max_retries=None)
    def work(self, **limit):
        self.retry(**limit)

    with pytest.raises(Retry):
        run(work, retries=10**6)
    with pytest.raises(MaxRetriesExceededError):
        run(work, retries=5, max_retries=5)


def test_retry_gives_up_at_once_when_max_retries_is_zero():
    @shared_task(bind=True, max_retries=0)
    def work(self):
        self.retry()

    with pytest.raises(MaxRetriesExceededError):
        run(work)


def test_max_retries_of_a_retry_counts_instead_of_that_of_the_task():
    @shared_task(bind=True, max_retries=2)
    def work(self, limit):
        self.retry(max_retries=limit)

    with pytest.raises(Retry):
        run(work, 10, retries=9)
    with pytest.raises(MaxRetriesExceededError):
        run(work, 10, retries=10)
    with pytest.raises(MaxRetriesExceededError):
        run(work, 0)


def test_max_retries_of_a_retry_also_limits_the_automatic_ones():
    @shared_task(bind=True, autoretry_for=(KeyError,), max_retries=None, default_retry_delay=0)
    def work(self, **limit):
        runs.append(self.request.retries)
        try:
            raise KeyError("k")
        except KeyError as error:
            self.retry(exc=error, **limit)

    runs = []
    for limit, many in [({"max_retries": 2}, 3), ({}, 9)]:
        runs.clear()
        for retries in range(9):
            request = Request(pk=7, name=work.name, queue="default", retries=retries)
            with pytest.raises((KeyError, Retry)) as raised:
                call(registry.find(work.name), request, [], limit)
            if not after(raised.value, work.options, retries, request.retry_limit):
                break
        assert runs == list(range(many))


def test_max_retries_none_of_a_retry_is_that_of_the_task_as_in_celery():
    @shared_task(bind=True, max_retries=2)
    def work(self):
        self.retry(max_retries=None)

    with pytest.raises(MaxRetriesExceededError):
        run(work, retries=2)


def test_retry_by_hand_does_not_use_the_arguments_of_the_automatic_one():
    @shared_task(bind=True, retry_kwargs={"max_retries": 10, "countdown": 5})
    def work(self):
        self.retry()

    with pytest.raises(Retry) as caught:
        run(work)
    assert caught.value.countdown == 180
    with pytest.raises(MaxRetriesExceededError):
        run(work, retries=3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"countdown": "soon"}, "countdown is 'soon': give a timedelta or a number of seconds"),
        ({"countdown": float("nan")}, "countdown is nan"),
        ({"eta": "tomorrow"}, "eta is 'tomorrow': give a datetime"),
        ({"max_retries": -1}, "max_retries is -1: give a whole number from 0"),
        ({"max_retries": 1.5}, "max_retries is 1.5"),
    ],
)
def test_misuse_of_retry_is_refused(wrong, message):
    for where in (lab.retry_until.retry, functools.partial(run, _retry_with)):
        with pytest.raises((TypeError, ValueError), match=message):
            where(**wrong)


@shared_task(bind=True)
def _retry_with(self, **arguments):
    self.retry(**arguments)
