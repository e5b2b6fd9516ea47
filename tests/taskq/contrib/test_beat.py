"""django-celery-beat's models, over the table of schedules."""

from __future__ import annotations

import datetime
import json
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, models
from django.test.utils import isolate_apps

from taskq.contrib.beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    PeriodicTasks,
    SolarSchedule,
)
from taskq.models import Schedule
from taskq.schedules import ScheduleError
from taskq.task.payload import PICKLED
from taskq.task.timing import UTC
from tests.taskq.scheduling import HOUR, TICK, tick

pytestmark = pytest.mark.django_db

NAP = "tests.project.lab.tasks.nap"  # takes a key and seconds


def interval(every=10, period=IntervalSchedule.SECONDS):
    found, _made = IntervalSchedule.objects.get_or_create(every=every, period=period)
    return found


def make(name="import", **values):
    given = {"task": TICK, "interval": interval(), **values}
    return PeriodicTask.objects.create(name=name, **given)


def test_a_task_is_made_as_the_pages_of_django_celery_beat_show_it():
    at, _made = CrontabSchedule.objects.get_or_create(
        minute="30", hour="3", day_of_week="mon-fri", timezone="Europe/Berlin"
    )
    made = PeriodicTask.objects.create(
        crontab=at,
        name="import contacts",
        task=NAP,
        args=json.dumps(["x"]),
        kwargs=json.dumps({"seconds": 1}),
        headers=json.dumps({"a": 1}),
        queue="mail",
        priority=5,
        expire_seconds=60,
        start_time=datetime.datetime(2030, 1, 1, tzinfo=UTC),
        description="of the night",
    )
    row = Schedule.objects.get()
    assert made.pk == row.pk
    assert (row.schedule, row.time_zone) == ("30 3 * * 1-5", "Europe/Berlin")
    assert row.payload == '[["x"],{"seconds":1},{"a":1}]'
    assert (row.queue, row.priority, row.expire_seconds) == ("mail", 5, 60)
    assert row.next_at == datetime.datetime(2030, 1, 1, 2, 30, tzinfo=UTC)
    assert not row.from_code
    found = PeriodicTask.objects.get(name="import contacts")
    assert found.crontab == CrontabSchedule("30", "3", "1-5", timezone="Europe/Berlin")
    assert (found.interval, found.clocked, found.solar) == (None, None, None)
    assert json.loads(found.args) == ["x"]
    assert json.loads(found.kwargs) == {"seconds": 1}
    assert (found.enabled, found.one_off, found.total_run_count) == (True, False, 0)
    assert found.expires_ == 60


def test_get_or_create_and_update_or_create():
    first, made = PeriodicTask.objects.get_or_create(
        name="import", defaults={"task": TICK, "interval": interval()}
    )
    assert made
    again, made = PeriodicTask.objects.get_or_create(
        name="import", defaults={"task": TICK, "interval": interval(99)}
    )
    assert (again.pk, made, again.interval) == (first.pk, False, interval())
    changed, made = PeriodicTask.objects.update_or_create(
        name="import", defaults={"interval": interval(5, "minutes"), "enabled": False}
    )
    assert (changed.pk, made) == (first.pk, False)
    assert (changed.interval, changed.enabled) == (interval(5, "minutes"), False)
    assert Schedule.objects.get().schedule == "every 300 s"
    _, made = PeriodicTask.objects.update_or_create(
        name="other", defaults={"task": TICK, "crontab": CrontabSchedule(minute="0")}
    )
    assert made


def test_a_task_is_changed_and_saved():
    row = make(args=json.dumps(["old"]))
    row.args = json.dumps(["new"])
    row.interval = None
    row.crontab = CrontabSchedule(hour="3", minute="0", timezone="Asia/Tokyo")
    row.enabled = False
    row.save()
    PeriodicTasks.changed(row)
    found = Schedule.objects.get()
    assert (found.payload, found.schedule, found.paused) == ('[["new"],{}]', "0 3 * * *", True)
    assert found.next_at.hour == 18
    assert PeriodicTask.objects.update(enabled=True) == 1
    assert PeriodicTask.objects.filter(name="import").update(interval=interval(7)) == 1
    assert Schedule.objects.get().schedule == "every 7 s"
    row.delete()
    assert not Schedule.objects.exists()


def test_both_days_must_match_as_in_celery():
    row = make(interval=None, crontab=CrontabSchedule("0", "0", "mon", "1-7", "*"))
    assert row.schedule == "both 0 0 1-7 * 1"
    assert row.crontab.day_of_month == "1-7"
    Schedule.objects.update(schedule="0 0 1-7 * 1")  # a cron takes either
    assert PeriodicTask.objects.get().crontab is None


def test_a_clocked_task_is_sent_once(table):
    moment = (datetime.datetime.now(UTC) - HOUR).replace(microsecond=0)
    row = make(interval=None, clocked=ClockedSchedule.objects.create(clocked_time=moment))
    assert row.one_off
    assert tick(table()) == 1
    assert tick(table()) == 0
    row = PeriodicTask.objects.get()
    assert (row.enabled, row.total_run_count, row.last_run_at) == (False, 1, moment)
    assert row.clocked == ClockedSchedule(moment)


def test_expires_is_the_end_of_the_schedule(table):
    end = datetime.datetime.now(UTC).replace(microsecond=0)
    make(expires=end)
    assert Schedule.objects.get().end_at == end
    assert PeriodicTask.objects.get().expires == end


def test_look_ups_by_the_names_of_django_celery_beat():
    ten, nightly = interval(), CrontabSchedule(hour="3", minute="0")
    make("a", args=json.dumps([1]), kwargs=json.dumps({"b": 2}), task="x")
    make("b", enabled=False, interval=None, crontab=nightly)
    make("c", interval=interval(5), start_time=datetime.datetime(2030, 1, 1, tzinfo=UTC))
    every = PeriodicTask.objects

    def names(found):
        return sorted(each.name for each in found)

    assert names(every.filter(enabled=True)) == ["a", "c"]
    assert names(every.enabled()) == ["a", "c"]
    assert names(every.exclude(enabled=True)) == ["b"]
    assert names(every.filter(interval=ten)) == ["a"]
    assert names(every.filter(crontab=nightly)) == ["b"]
    assert names(every.filter(crontab__isnull=False)) == ["b"]
    assert names(every.filter(interval=None)) == ["b"]
    assert names(every.filter(task="x", args=json.dumps([1]))) == ["a"]
    assert names(every.filter(kwargs=json.dumps({"b": 2}))) == ["a"]
    assert names(every.filter(kwargs__contains='"b": 2')) == ["a"]
    assert names(every.filter(start_time__gt=datetime.datetime(2029, 1, 1, tzinfo=UTC))) == ["c"]
    assert names(every.filter(name__startswith="a")) == ["a"]
    assert [each.name for each in every.order_by("enabled", "-name")] == ["b", "c", "a"]
    assert every.filter(total_run_count__gt=0).count() == 0
    assert every.filter(name="b").delete()[0] == 1


def test_a_task_that_this_process_does_not_know_is_taken():
    assert make(task="shop.tasks.later").task == "shop.tasks.later"


def test_one_of_the_code_is_switched_off_but_not_changed(write):
    write(hourly={})
    row = PeriodicTask.objects.get(name="hourly")
    row.enabled = False
    row.save()
    assert Schedule.objects.get().paused
    row.enabled = True
    row.save()
    assert not Schedule.objects.get().paused
    row.args = json.dumps(["x"])
    with pytest.raises(ScheduleError, match="is defined by the code"):
        row.save()


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: SolarSchedule.objects.get_or_create(event="sunset"), "SolarSchedule is refused"),
        (lambda: IntervalSchedule(every=5, period="microseconds"), "period is 'microseconds': use"),
        (lambda: IntervalSchedule(every=0, period="days"), "every is 0: give a whole number"),
        (lambda: CrontabSchedule(minute="60"), "60 is out of range: give 0 to 59"),
        (lambda: CrontabSchedule(timezone="Mars/Base"), "timezone is 'Mars/Base': give a zone's"),
        (
            lambda: IntervalSchedule.objects.filter(every=5),
            "has no 'filter': a schedule is a value",
        ),
        (lambda: make(interval=None), "'import' has no schedule: give one of interval, crontab"),
        (lambda: make(crontab=interval()), "give a CrontabSchedule"),
        (lambda: make(args=["x"]), "['x'] is no JSON: use json.dumps()"),
        (lambda: make(args='{"a": 1}'), "give JSON such as []"),
        (lambda: make(args="[1, 2, 3]"), "args and kwargs do not fit the task"),
        (lambda: make(priority=200), "priority is 200: give a whole number from -100 to 100"),
        (lambda: setattr(interval(), "every", 5), "cannot assign to field 'every'"),
    ],
)
def test_what_is_wrong_is_refused_with_its_mend(act, message):
    with pytest.raises((TypeError, ValueError, AttributeError)) as refused:
        act()
    assert message in str(refused.value)


@pytest.mark.postgresql  # SQLite makes no table in a transaction with foreign keys
def test_a_model_of_the_site_may_inherit_from_it():
    with isolate_apps("tests.project.lab"):

        class Owned(PeriodicTask):
            owner = models.CharField(max_length=9)

            class Meta:
                app_label = "lab"

    with connection.schema_editor() as editor:
        editor.create_model(Owned)
    Owned.objects.create(name="mine", task=TICK, interval=interval(), owner="me")
    row = Owned.objects.get(owner="me", enabled=True)
    assert (row.interval, row.schedule) == (interval(), "every 10 s")
    row.owner, row.enabled = "you", False
    row.save()
    assert Owned.objects.get(enabled=False).owner == "you"
    assert Schedule.objects.get().paused
    row.delete()
    assert not Schedule.objects.exists()


def test_no_migration_is_missing():
    assert apps.get_app_config("taskq_beat").default_auto_field == "django.db.models.BigAutoField"
    call_command(
        "makemigrations", "taskq_beat", "taskq", check=True, dry_run=True, stdout=StringIO()
    )


def test_a_name_that_is_taken_is_an_integrity_error():
    from django.db import IntegrityError, transaction

    make()
    with pytest.raises(IntegrityError), transaction.atomic():
        make()


def test_pickled_arguments_are_shown_as_json(settings):
    settings.TASKQ = {"SERIALIZER": "pickle"}
    row = make(args=json.dumps(["x"]))
    assert Schedule.objects.get().payload.startswith(PICKLED)
    assert json.loads(PeriodicTask.objects.get().args) == ["x"]
    row.description = "new"
    row.save()
    assert json.loads(PeriodicTask.objects.get().args) == ["x"]
