"""The form of a schedule in the admin: made, changed, its errors, and what it shows."""

from __future__ import annotations

import datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from taskq import schedules
from taskq.celery import shared_task
from taskq.models import Schedule, Task
from tests.taskq.admin_site import user_with
from tests.taskq.scheduling import TICK

pytestmark = pytest.mark.django_db

LIST = "/admin/taskq/schedule/"
ADD = f"{LIST}add/"
NAP = "tests.project.lab.tasks.nap"  # takes a key and seconds
GOOD = {
    "name": "nightly",
    "task": NAP,
    "schedule": "0 3 * * *",
    "time_zone": "Europe/Berlin",
    "args": '["x"]',
    "kwargs": '{"seconds": 1}',
    "queue": "mail",
    "priority": "7",
    "catch_up": "skip",
    "start_at": "2030-01-01T00:00:00",
    "end_at": "",
    "expires": "60",
    "enabled": "on",
    "description": "of the night",
}
ALL = ("view_schedule", "add_schedule", "change_schedule", "change_task")


@pytest.fixture
def client():
    return user_with(*ALL)


def post(client: Client, url: str = ADD, **values: str) -> str:
    return client.post(url, {**GOOD, **values}, follow=True).content.decode()


def url_of(row: Schedule) -> str:
    return reverse("admin:taskq_schedule_change", args=[row.pk])


def test_a_schedule_is_made_and_its_next_five_ticks_are_said(client):
    assert client.get(ADD).status_code == 200
    page = post(client)
    row = Schedule.objects.get()
    assert not row.from_code
    assert (row.task, row.payload) == (NAP, '[["x"],{"seconds":1}]')
    assert (row.queue, row.priority, row.catch_up, row.expire_seconds) == ("mail", 7, "skip", 60)
    first = datetime.datetime(2030, 1, 1, 2, tzinfo=datetime.UTC)
    assert row.next_at == first
    assert "Next: 2030-01-01 02:00:00, 2030-01-02 02:00:00, " in page
    assert page.count("2030-01-05 02:00:00") == 1
    assert "2030-01-06 02:00:00" not in page
    assert LogEntry.objects.get().object_id == str(row.pk)


def test_it_is_changed_and_its_tick_moves(client):
    row = schedules.create("nightly", task=NAP, schedule="0 3 * * *", args=["old", 1])
    page = client.get(url_of(row)).content.decode()
    assert "[&quot;old&quot;, 1]" in page
    assert "nightly" in page
    post(client, url_of(row), name="other", schedule="every 2 hours", start_at="", priority="")
    row = Schedule.objects.get()
    assert (row.name, row.schedule, row.payload) == (
        "nightly",
        "every 7200 s",
        '[["x"],{"seconds":1}]',
    )
    assert row.next_at.minute == 0
    assert row.priority == 0


def test_a_change_keeps_what_a_tick_has_written_meanwhile(client):
    row = schedules.create(
        "nightly", task=NAP, schedule="0 3 * * *", args=["x"], kwargs={"seconds": 1}
    )
    client.get(url_of(row))
    moved = row.next_at + datetime.timedelta(days=1)
    Schedule.objects.update(next_at=moved, last_at=row.next_at, total_runs=9)
    post(client, url_of(row), time_zone=row.time_zone, start_at="", description="new")
    row.refresh_from_db()
    assert (row.next_at, row.total_runs, row.description) == (moved, 9, "new")
    assert row.last_at is not None


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("every 300 s", "every 5 minutes"),
        ("every 60 s", "every minute"),
        ("every 5400 s", "every 5400 s"),
        ("30 2 * * 1-5", "30 2 * * 1-5"),
        ("whenever", "whenever"),
    ],
)
def test_an_interval_is_shown_as_people_write_it(client, stored, shown):
    row = schedules.create("mine", task=TICK, schedule="0 3 * * *")
    Schedule.objects.update(schedule=stored)
    form = client.get(url_of(row)).context["adminform"].form
    assert form.initial["schedule"] == shown


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"schedule": "soon"}, "schedule", "schedule is 'soon': give a cron expression"),
        ({"schedule": "99 * * * *"}, "schedule", "it has: bad minute"),
        ({"time_zone": "Mars/Base"}, "time_zone", "time_zone is 'Mars/Base': give a zone's name"),
        ({"task": "nope"}, "task", "Select a valid choice"),
        ({"args": "x"}, "args", "give a JSON list, such as [42]"),
        ({"args": '{"a": 1}'}, "args", "give a JSON list, such as [42]"),
        ({"kwargs": "[1]"}, "kwargs", "give a JSON object"),
        ({"args": "[1, 2, 3, 4]"}, "args", "args and kwargs do not fit the task: "),
        ({"queue": "a,b"}, "queue", "a comma or a star cannot be in it"),
        ({"priority": "101"}, "priority", "less than or equal to 100"),
        ({"expires": "-1"}, "expires", "give a number of seconds above 0"),
        ({"end_at": "2029-01-01T00:00:00"}, "end_at", "before start_at: give a later time"),
        ({"name": ""}, "name", "This field is required"),
    ],
)
def test_each_mistake_is_an_error_of_its_field(client, values, field, message):
    response = client.post(ADD, {**GOOD, **values})
    errors = response.context["adminform"].form.errors
    assert list(errors) == [field]
    assert message in str(errors[field][0])
    assert not Schedule.objects.exists()


def test_all_mistakes_are_said_at_once(client):
    response = client.post(ADD, {**GOOD, "schedule": "soon", "queue": "*", "expires": "0"})
    assert {*response.context["adminform"].form.errors} == {"schedule", "queue", "expires"}


def test_a_name_that_is_taken_is_refused(client, settings):
    schedules.create("mine", task=TICK, schedule="0 3 * * *")
    settings.TASKQ = {"SCHEDULE": {"nightly": {"task": TICK, "schedule": "0 3 * * *"}}}
    for name, said in (("mine", "already exists"), ("nightly", "is a schedule of the code")):
        response = client.post(ADD, {**GOOD, "name": name})
        assert said in str(response.context["adminform"].form.errors["name"])


def test_sensitive_arguments_are_not_shown_and_stay(client, registered):
    @shared_task(name="secretive", sensitive=("token",))
    def secretive(token): ...

    row = schedules.create("hidden", task="secretive", schedule="0 3 * * *", args=["geheim"])
    assert "geheim" not in client.get(url_of(row)).content.decode()
    post(client, url_of(row), task="secretive", args="", kwargs="", description="new")
    row.refresh_from_db()
    assert (row.payload, row.description) == ('[["geheim"],{}]', "new")


def test_headers_and_dates_stay_through_the_form(client):
    day = datetime.date(2026, 1, 2)
    row = schedules.create("dated", task=NAP, schedule="0 3 * * *", args=[day, 1], headers={"a": 1})
    shown = client.get(url_of(row)).context["adminform"].form.initial["args"]
    post(client, url_of(row), args=shown, kwargs="{}")
    assert schedules.data.values_of(Schedule.objects.get())["args"] == [day, 1]
    assert schedules.data.values_of(Schedule.objects.get())["headers"] == {"a": 1}


def test_one_is_run_now_with_the_permission_to_send(client):
    row = schedules.create("mine", task=TICK, schedule="0 3 * * *", enabled=False, expires=60)
    act = {"action": "run_selected", "_selected_action": [row.pk]}
    assert "Sent now: mine" in client.post(LIST, act, follow=True).content.decode()
    task = Task.objects.get()
    assert task.name == TICK
    assert task.expires_at is not None
    Task.objects.all().delete()
    client.logout()
    from django.contrib.auth.models import User

    User.objects.all().delete()
    user_with("view_schedule", "change_schedule").post(LIST, act)
    assert not Task.objects.exists()


def test_who_may_only_look_sees_no_form():
    row = schedules.create("mine", task=TICK, schedule="0 3 * * *")
    page = user_with("view_schedule").get(url_of(row))
    assert b'name="_save"' not in page.content
    assert b"0 3 * * *" in page.content


def test_an_error_and_the_end_are_shown(client):
    schedules.create("mine", task=TICK, schedule="0 3 * * *")
    schedules.create("past", task=TICK, schedule="at 2001-01-01 00:00")
    Schedule.objects.filter(name="mine").update(error="no such zone")
    Schedule.objects.filter(name="past").update(next_at=None)
    page = client.get(LIST).content.decode()
    assert ">no such zone</span>" in page
    assert ">over</span>" in page
