"""``taskq_import_beat``: rows of django-celery-beat become schedules, and what is said of each."""

from __future__ import annotations

import datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from taskq import schedules
from taskq.models import Schedule
from taskq.task.timing import UTC
from tests.taskq.management import beat_tables
from tests.taskq.management.beat_tables import add, add_crontab, add_task
from tests.taskq.scheduling import HOURLY, TICK

pytestmark = pytest.mark.django_db

NAP = "tests.project.lab.tasks.nap"  # takes a key and seconds
MOMENT = datetime.datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def tables(db):
    beat_tables.make_tables()


def bring(*options):
    """What the command says of each row, by name, and its error."""
    out, error = StringIO(), ""
    try:
        call_command("taskq_import_beat", *options, stdout=out)
    except CommandError as failed:
        error = str(failed)
    lines = [line.partition(": ") for line in out.getvalue().splitlines()]
    return {name: said for name, _, said in lines}, error


def test_rows_are_brought_over_with_all_their_values():
    ten_seconds = add("intervalschedule", every=10, period="seconds")
    at = add_crontab(minute="0, 30", hour="3", day_of_week="mon", timezone="Europe/Berlin")
    add_task(
        "interval",
        TICK,
        interval_id=ten_seconds,
        args='["a"]',
        headers='{"h": 1}',
        queue="mail",
        priority=5,
        expire_seconds=30,
        total_run_count=7,
        last_run_at=MOMENT,
        description="of old",
    )
    add_task(
        "crontab",
        NAP,
        crontab_id=at,
        kwargs='{"key": "x", "seconds": 1}',
        enabled=False,
        start_time=MOMENT,
        expires=MOMENT + datetime.timedelta(days=9),
    )
    clocked = add("clockedschedule", clocked_time=MOMENT)
    add_task("clocked", TICK, clocked_id=clocked, one_off=True)
    said, error = bring()
    assert error == ""
    assert said == {
        "clocked": "made: at 2030-01-01T12:00:00+00:00",
        "crontab": "made: 0,30 3 * * 1, switched off",
        "interval": "made: every 10 s",
    }
    rows = {row.name: row for row in Schedule.objects.all()}
    row = rows["interval"]
    assert (row.payload, row.queue, row.priority) == ('[["a"],{},{"h":1}]', "mail", 5)
    assert (row.expire_seconds, row.description) == (30, "of old")
    assert (row.total_runs, row.last_at, row.from_code) == (7, MOMENT, False)
    row = rows["crontab"]
    assert (row.time_zone, row.paused, row.start_at) == ("Europe/Berlin", True, MOMENT)
    assert row.end_at == MOMENT + datetime.timedelta(days=9)
    assert rows["clocked"].one_off
    assert rows["clocked"].next_at == MOMENT


def test_what_cannot_be_brought_over_is_said_and_stops_no_other(settings):
    settings.TASKQ = {"SCHEDULE": {"in the code": HOURLY}}
    every = add("intervalschedule", every=1, period="hours")
    often = add("intervalschedule", every=5, period="microseconds")
    sunset = add("solarschedule", event="sunset", latitude=1, longitude=2)
    rows = {
        "solar": {"solar_id": sunset},
        "micro": {"interval_id": often},
        "none": {},
        "gone": {"interval_id": 99},
        "broken": {"interval_id": every, "args": "[1"},
        "wrong": {"interval_id": every, "args": "[1, 2, 3]", "priority": 200},
        "zone": {"crontab_id": add_crontab(timezone="Mars/Base")},
        "in the code": {"interval_id": every, "enabled": False},
        "good": {"interval_id": every},
    }
    for name, values in rows.items():
        add_task(name, TICK, **values)
    add_task("unknown", "shop.tasks.old", interval_id=every)
    add_task("celery.backend_cleanup", "celery.backend_cleanup", interval_id=every)
    said, error = bring()
    assert error == "9 of 11 could not be brought over"
    wanted = {
        "solar": "NOT BROUGHT: the ticks of the sun are no fixed times",
        "micro": "NOT BROUGHT: period is 'microseconds': use one of days, hours,",
        "none": "NOT BROUGHT: it has no schedule",
        "gone": "NOT BROUGHT: its interval 99 is gone",
        "broken": "NOT BROUGHT: Expecting ',' delimiter",
        "wrong": "NOT BROUGHT: priority is 200: give a whole number from -100 to 100; args and",
        "zone": "NOT BROUGHT: timezone is 'Mars/Base': give a zone's name",
        "in the code": "NOT BROUGHT: it is switched off, and the code or the settings define it",
        "unknown": "NOT BROUGHT: task is 'shop.tasks.old', which is no task of taskq: import",
        "celery.backend_cleanup": "left out, as it is Celery's own: pools remove old results",
        "good": "made: every 3600 s",
    }
    assert said.keys() == wanted.keys()
    for name, text in wanted.items():
        assert said[name].startswith(text)
    assert Schedule.objects.get().name == "good"


def test_a_second_run_leaves_alone_what_is_there_and_replace_does_not():
    every = add("intervalschedule", every=1, period="hours")
    add_task("a", TICK, interval_id=every)
    assert bring()[0] == {"a": "made: every 3600 s"}
    schedules.update("a", schedule="every 2 hours")
    assert bring() == ({"a": "is there already"}, "")
    assert Schedule.objects.get().schedule == "every 7200 s"
    assert bring("--replace") == ({"a": "replaced: every 3600 s"}, "")
    assert Schedule.objects.get().schedule == "every 3600 s"


def test_of_those_in_the_settings_only_the_switch_is_taken(write):
    write(on={}, off={})
    every = add("intervalschedule", every=1, period="hours")
    add_task("on", TICK, interval_id=every)
    add_task("off", TICK, interval_id=every, enabled=False)
    said, error = bring("--replace")
    assert error == ""
    assert said["on"] == "left out, as the code or the settings define it"
    assert said["off"] == "switched off, as it was; the code or the settings define the rest"
    assert Schedule.objects.get(paused=True).name == "off"
    assert Schedule.objects.filter(from_code=True, schedule="0 * * * *").count() == 2


def test_a_dry_run_says_the_same_and_changes_nothing():
    add_task("a", TICK, interval_id=add("intervalschedule", every=1, period="hours"))
    said, _ = bring("--dry-run")
    assert said == {"a": "made: every 3600 s", "Nothing was changed (--dry-run).": ""}
    assert not Schedule.objects.exists()


def test_rows_of_an_older_version_of_the_package_are_brought_over_too():
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE django_celery_beat_clockedschedule")
        for column in (
            "headers",
            "priority",
            "one_off",
            "start_time",
            "expire_seconds",
            "clocked_id",
        ):
            cursor.execute(f"ALTER TABLE django_celery_beat_periodictask DROP COLUMN {column}")
        cursor.execute(
            "INSERT INTO django_celery_beat_periodictask (id, name, task, args, kwargs, enabled, "
            "total_run_count, description, interval_id) "
            "VALUES (1, 'a', %s, '[]', '{}', %s, 0, '', %s)",
            [TICK, True, add("intervalschedule", every=1, period="days")],
        )
    assert bring() == ({"a": "made: every 86400 s"}, "")


def test_without_rows_it_says_so():
    assert bring()[1] == "database 'default' has no periodic task of django-celery-beat"
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE django_celery_beat_periodictask")
    assert bring()[1] == "database 'default' has no periodic task of django-celery-beat"
