"""Schedules in the admin: what is shown of them, and who may pause them."""

from __future__ import annotations

import datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from taskq.models import Schedule

pytestmark = pytest.mark.django_db

TICK = "tests.project.lab.tasks.tick"
LIST = "/admin/taskq/schedule/"
TOMORROW = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)


def user_with(*permissions):
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def make(name, **fields):
    given = {
        "task": TICK,
        "schedule": "0 3 * * *",
        "time_zone": "Europe/Berlin",
        "catch_up": "once",
        "payload": '[["a key"],{}]',
        "queue": "default",
        "priority": 0,
        "max_losses": 3,
        "next_at": TOMORROW,
    }
    return Schedule.objects.create(name=name, **{**given, **fields})


def act(client, action, *rows):
    data = {"action": action, "_selected_action": [row.pk for row in rows]}
    return client.post(LIST, data, follow=True).content.decode()


@pytest.fixture
def rows(settings):
    settings.TASKQ = {"SCHEDULE": {"nightly": {"task": TICK, "schedule": "0 3 * * *"}}}
    return {
        "nightly": make("nightly"),
        "idle": make("idle", paused=True),
        "gone": make("gone", schedule="every 300 s"),
    }


def test_the_list_shows_when_each_comes_and_what_it_is(rows):
    page = user_with("view_schedule").get(LIST).content.decode()
    assert "0 3 * * * (Europe/Berlin)" in page
    assert "every 300 s" in page
    assert "every 300 s (" not in page
    for state in ("active", "paused", "not in the code here"):
        assert f">{state}</span>" in page


def test_the_list_costs_the_same_for_many(rows):
    client = user_with("view_schedule")

    def queries():
        with CaptureQueriesContext(
            connection,
        ) as found:
            client.get(LIST)
        return len(found)

    few = queries()
    for number in range(20):
        make(f"more {number}")
    assert queries() == few


def test_a_page_shows_the_arguments_and_nothing_can_be_edited(rows):
    client = user_with("view_schedule", "change_schedule")
    page = client.get(reverse("admin:taskq_schedule_change", args=[rows["nightly"].pk]))
    assert "&#x27;a key&#x27;" in page.content.decode()
    assert b'name="_save"' not in page.content
    assert client.get(f"{LIST}add/").status_code == 403


def test_who_may_change_schedules_may_pause_and_resume_them(rows):
    client = user_with("view_schedule", "change_schedule")
    assert "Paused: nightly" in act(client, "pause_selected", rows["nightly"], rows["idle"])
    assert Schedule.objects.filter(paused=True).count() == 2
    assert "Resumed: idle, nightly" in act(client, "resume_selected", *rows.values())
    assert not Schedule.objects.filter(paused=True).exists()
    row = Schedule.objects.get(name="idle")
    assert row.next_at == next(row.timing.after(datetime.datetime.now(datetime.UTC)))
    said = LogEntry.objects.order_by("pk").values_list("object_repr", "change_message")
    assert list(said) == [("nightly", "Paused"), ("idle", "Resumed"), ("nightly", "Resumed")]


def test_who_may_only_look_may_not(rows):
    client = user_with("view_schedule")
    assert "Pause selected" not in client.get(LIST).content.decode()
    act(client, "pause_selected", rows["nightly"])
    assert Schedule.objects.filter(paused=True).count() == 1


def test_what_the_code_here_cannot_read_is_not_resumed(rows):
    Schedule.objects.filter(name="idle").update(schedule="each dawn")
    said = act(user_with("view_schedule", "change_schedule"), "resume_selected", rows["idle"])
    assert "Schedule is &#x27;each dawn&#x27;: give a cron expression" in said
    assert Schedule.objects.get(name="idle").paused


def test_a_zone_that_is_not_here_is_said(rows):
    Schedule.objects.filter(name="idle").update(time_zone="Mars/Base")
    said = act(user_with("view_schedule", "change_schedule"), "resume_selected", rows["idle"])
    assert "No time zone found with key Mars/Base" in said


def test_what_is_left_over_can_be_deleted(rows):
    client = user_with("view_schedule", "delete_schedule")
    url = reverse("admin:taskq_schedule_delete", args=[rows["gone"].pk])
    assert client.post(url, {"post": "yes"}).status_code == 302
    assert set(Schedule.objects.values_list("name", flat=True)) == {"nightly", "idle"}


def test_what_is_in_the_code_is_paused_rather_than_deleted(rows):
    client = user_with("view_schedule", "delete_schedule")
    url = reverse("admin:taskq_schedule_delete", args=[rows["nightly"].pk])
    assert client.post(url, {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [row.pk for row in rows.values()]}
    client.post(LIST, {**chosen, "post": "yes"})
    assert Schedule.objects.count() == len(rows)
