"""Time in tests: ``advance()``, ``run_all(forward=)`` and the ticks of ``send_ticks()``."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone

from taskq.celery import shared_task
from taskq.models import Result, Task, Worker
from taskq.testing import advance, run_all, send_ticks
from tests.taskq.saying import HOUR, _said, double, fail, say

pytestmark = pytest.mark.django_db


@shared_task(bind=True)
def retry_at(self, eta):
    if not self.request.retries:
        raise self.retry(exc=ValueError("not yet"), eta=eta)
    _said.append("done")


# Forward


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


@pytest.mark.usefixtures("registered")
def test_a_task_knows_its_tick_however_much_time_passes():
    told = []

    @shared_task(bind=True, schedule="0 3 * * *", max_retries=3, default_retry_delay=600)
    def report(self):
        told.append(self.request.scheduled_at)
        if self.request.retries < 2:
            self.retry()

    midnight = datetime.datetime(2030, 6, 3, tzinfo=datetime.UTC)
    assert send_ticks(midnight, midnight + datetime.timedelta(hours=6)) == 1
    assert len(run_all(forward=None)) == 3
    assert told == 3 * [midnight + 3 * HOUR]
