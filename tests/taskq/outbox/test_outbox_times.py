"""Enqueueing: from when on a task is due, and until when."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction
from django.utils import timezone

from taskq.models import Task
from tests.project.lab import tasks as lab

pytestmark = pytest.mark.django_db

BERLIN = ZoneInfo("Europe/Berlin")


def enqueue(task=lab.quick, **options):
    """Send a task and read its row."""
    return Task.objects.get(pk=task.apply_async((1,), **options).id.int)


# When it is due

SECOND = datetime.timedelta(seconds=1)


def wait_of(task):
    return (task.execute_at - task.created_at) / SECOND


@pytest.mark.parametrize("countdown", [0, 1, 90, 0.25, 1.125, 59.999, 3600.5])
def test_countdown_keeps_its_fraction(countdown):
    assert wait_of(enqueue(countdown=countdown)) == pytest.approx(countdown, abs=0.0005)


def test_countdown_may_be_a_timedelta():
    wait = datetime.timedelta(hours=1, milliseconds=250)
    assert wait_of(enqueue(countdown=wait)) == 3600.25


@pytest.mark.parametrize("countdown", [-1, -0.5, datetime.timedelta(days=-1)])
def test_countdown_that_has_passed_is_due_now_and_jumps_no_queue(countdown):
    assert wait_of(enqueue(countdown=countdown)) == 0


def test_countdown_is_reckoned_by_the_clock_of_the_database(monkeypatch):
    """Created and due are of one statement: no clock of this host can come between."""
    monkeypatch.setattr(timezone, "now", lambda: pytest.fail("asked this host for the time"))
    assert wait_of(enqueue(countdown=10.5)) == 10.5


@pytest.mark.postgresql
def test_countdown_begins_with_the_call_in_a_long_transaction():
    def clock():
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp(), pg_sleep(0.1)")
            return cursor.fetchone()[0]

    with transaction.atomic():
        clock()
        before = clock()
        task = enqueue(countdown=5)
        assert task.execute_at > before + 5 * SECOND


def test_long_countdown_is_kept():
    years = datetime.timedelta(days=365 * 100)
    assert wait_of(enqueue(countdown=years)) == years / SECOND


@pytest.mark.parametrize(
    "countdown",
    [float("nan"), float("inf"), -float("inf"), 1e11, 10**400, -1e11, "5", True, [], object()],
)
def test_bad_countdown_is_refused(countdown):
    with pytest.raises(
        (TypeError, ValueError), match=r"countdown is .*: give a timedelta or a number of seconds"
    ):
        enqueue(countdown=countdown)


def test_aware_eta_is_kept_to_the_microsecond():
    eta = datetime.datetime(2030, 7, 1, 12, 30, 15, 123456, tzinfo=BERLIN)
    assert enqueue(eta=eta).execute_at == eta


def test_eta_may_have_passed():
    eta = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    assert enqueue(eta=eta).execute_at == eta


def test_naive_eta_is_in_the_current_time_zone():
    eta = datetime.datetime(2030, 7, 1, 12, 30)
    with timezone.override(BERLIN):
        assert enqueue(eta=eta).execute_at == eta.replace(tzinfo=BERLIN)
    assert enqueue(eta=eta).execute_at == eta.replace(tzinfo=datetime.UTC)


def test_given_both_the_countdown_counts_as_in_celery():
    eta = datetime.datetime(2030, 7, 1, tzinfo=datetime.UTC)
    assert wait_of(enqueue(eta=eta, countdown=10)) == 10
    assert enqueue(eta=eta, countdown=0).execute_at == eta


@pytest.mark.parametrize(
    "eta", ["2030-01-01", 5, datetime.date(2030, 1, 1), datetime.timedelta(1), True]
)
def test_bad_eta_is_refused(eta):
    with pytest.raises(TypeError, match=r"eta is .*: give a datetime"):
        enqueue(eta=eta)


def test_bad_eta_is_refused_beside_a_countdown():
    with pytest.raises(TypeError, match="eta is 5"):
        enqueue(eta=5, countdown=10)


@pytest.mark.parametrize(
    ("moment", "hours"), [(datetime.datetime.max, -5), (datetime.datetime.min, 5)]
)
@pytest.mark.parametrize("option", ["eta", "expires"])
def test_moment_that_no_datetime_can_hold_in_utc_is_refused(option, moment, hours):
    """PostgreSQL would take it, and nobody could read the row any more."""
    zone = datetime.timezone(datetime.timedelta(hours=hours))
    with pytest.raises(ValueError, match=f"{option} is datetime.*: in UTC no datetime can hold it"):
        enqueue(**{option: moment.replace(tzinfo=zone)})


def test_the_last_moment_of_all_can_be_read_again():
    assert enqueue(eta=datetime.datetime.max).execute_at.year == 9999


# Until when


def life_of(task):
    return (task.expires_at - task.created_at) / SECOND


@pytest.mark.parametrize("expires", [1, 0.25, 3600.5, 0, -5])
def test_expires_in_so_many_seconds(expires):
    assert life_of(enqueue(expires=expires)) == pytest.approx(expires, abs=0.0005)


def test_expires_after_a_timedelta():
    assert life_of(enqueue(expires=datetime.timedelta(minutes=2, milliseconds=5))) == 120.005


def test_expires_at_an_aware_moment():
    moment = datetime.datetime(2030, 7, 1, 12, 30, 15, 123456, tzinfo=BERLIN)
    assert enqueue(expires=moment).expires_at == moment


def test_expires_at_a_naive_moment_of_the_current_time_zone():
    moment = datetime.datetime(2030, 7, 1, 12, 30)
    with timezone.override(BERLIN):
        assert enqueue(expires=moment).expires_at == moment.replace(tzinfo=BERLIN)


def test_expires_is_reckoned_from_the_call_not_from_the_countdown():
    task = enqueue(countdown=60, expires=90)
    assert (wait_of(task), life_of(task)) == (60, 90)


@pytest.mark.parametrize("expires", ["soon", True, datetime.date(2030, 1, 1), float("nan"), 1e12])
def test_bad_expires_is_refused(expires):
    with pytest.raises(
        (TypeError, ValueError), match=r"expires is .*: give a datetime, a timedelta or a number"
    ):
        enqueue(expires=expires)
