"""The page of schedules: in words, next, last, late; run now, pause and resume."""

from __future__ import annotations

import datetime
import re

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client

from taskq.dashboard.remembered import remembered
from taskq.models import Schedule, Task
from taskq.schedules import data
from taskq.schedules.words import in_words
from tests.taskq.admin_site import HOUR, said, user_with
from tests.taskq.scheduling import TICK

from .site import words

LIST = "/taskq/schedules/"
NEW = f"{LIST}new/"

pytestmark = pytest.mark.django_db


def schedule(name="nightly", text="30 2 * * 1-5", **fields):
    given = {"task": "shop.report", "time_zone": "Europe/Paris", "catch_up": "once"}
    given |= {"payload": '[[5],{"full":true}]', "queue": "mail", "priority": 7, "max_losses": 3}
    given |= {"schedule": text, "next_at": Now() + HOUR}
    return Schedule.objects.create(name=name, **(given | fields))


def press(client, verb, name="nightly"):
    return client.post(LIST, {"act": f"{verb}:{name}"}, follow=True)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("every 300 s", "every 5 minutes"),
        ("every 60 s", "every minute"),
        ("every 1 s", "every second"),
        ("every 5400 s", "every 1 hour 30 minutes"),
        ("every 86400 s", "every day"),
        ("30 2 * * 1-5", "At 02:30 on Monday through Friday"),
        ("*/5 * * * *", "Every fifth minute of every hour"),
        (
            "both 0 0 1-7 * 1",
            "At 00:00 on every day of month from 1 through 7 and on Monday, where both days match",
        ),
        ("at 2026-12-31T22:59:00+00:00", "once, at 2026-12-31 22:59 UTC"),
        ("fortnightly", "fortnightly"),
        ("", ""),
    ],
)
def test_a_schedule_in_words(text, meaning):
    assert in_words(text) == meaning


def test_it_is_listed_in_words_with_its_call(root):
    assert "There is no schedule." in words(root.get(LIST))
    remembered.forget()
    schedule()
    schedule("odd", "fortnightly", next_at=None)
    found = words(root.get(LIST))
    assert "nightly not in the code here" in found
    assert "At 02:30 on Monday through Friday 30 2 * * 1-5 Europe/Paris" in found
    assert "shop.report 5, full=True" in found
    assert "late" not in found


def test_it_says_how_late_a_tick_is(root):
    schedule(next_at=Now() - datetime.timedelta(seconds=90))
    schedule("stopped", next_at=Now() - HOUR, paused=True)
    found = words(root.get(LIST))
    assert "nightly 1:30 late" in found
    assert found.count(" late") == 1


def test_it_is_run_paused_and_resumed(root):
    schedule("every", "every 300 s", last_at=Now() - HOUR)
    schedule()
    assert said(press(root, "run_now")) == ["The task of nightly was sent."]
    task = Task.objects.get()
    assert (task.name, task.payload) == ("shop.report", '[[5],{"full":true}]')
    assert (task.queue, task.priority, task.max_losses) == ("mail", 7, 3)
    assert task.scheduled_at is None
    assert said(press(root, "pause")) == ["nightly is paused: it sends nothing."]
    assert Schedule.objects.get(paused=True).name == "nightly"
    assert said(press(root, "pause")) == ["Nothing to do for nightly."]
    assert said(press(root, "resume")) == ["nightly goes on with its next tick."]
    assert said(press(root, "run_now", "gone")) == ["Nothing to do for gone."]
    assert Task.objects.count() == 1


def test_one_that_this_version_cannot_read_is_not_resumed(root):
    schedule(text="fortnightly", paused=True)
    assert "fortnightly" in said(press(root, "resume"))[0]
    assert Schedule.objects.get().paused


def test_the_verbs_need_permissions():
    schedule()
    client = user_with("view_task")
    assert "Run now" not in words(client.get(LIST))
    assert "New schedule" not in words(client.get(LIST))
    for verb in ("run_now", "pause", "resume", "delete"):
        assert client.post(LIST, {"act": f"{verb}:nightly"}).status_code == 403
    User.objects.all().delete()
    client = user_with("view_task", "change_schedule")
    assert said(press(client, "pause")) == ["nightly is paused: it sends nothing."]
    assert client.post(LIST, {"act": "run_now:nightly"}).status_code == 403
    assert client.post(LIST, {"act": "delete:nightly"}).status_code == 403
    assert client.post(LIST, {"act": "remove:nightly"}).status_code == 400
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get())
    assert strict.post(LIST, {"act": "resume:nightly"}).status_code == 403


# Those that people make

GOOD = {
    "name": "mine",
    "task": TICK,
    "schedule": "every 2 hours",
    "time_zone": "UTC",
    "catch_up": "once",
    "enabled": "on",
}


def test_one_is_made_changed_and_deleted(root):
    assert "New schedule" in words(root.get(LIST))
    assert root.get(NEW).status_code == 200
    made = root.post(NEW, GOOD, follow=True)
    assert said(made) == ["mine is saved. Pools see it within 5 seconds."]
    row = Schedule.objects.get()
    assert (row.schedule, row.from_code) == ("every 7200 s", False)
    page = f"{LIST}{row.pk}/"
    found = words(root.get(page))
    assert "every 2 hours" in found
    assert len(re.findall(r"<li>\d", root.get(page).content.decode())) == 5  # the next ticks
    root.post(page, {**GOOD, "schedule": "0 3 * * *", "args": '["x"]', "end_at": ""})
    row.refresh_from_db()
    assert (row.schedule, row.payload) == ("0 3 * * *", '[["x"],{}]')
    Schedule.objects.update(error="no such zone", total_runs=3)
    remembered.forget()
    found = words(root.get(LIST))
    assert "no such zone" in found
    assert "3 tasks" in found
    assert "not in the code here" not in found
    assert said(press(root, "delete", "mine")) == ["mine is deleted."]
    assert said(press(root, "delete", "mine")) == ["Nothing to do for mine."]
    assert root.get(page).status_code == 404


def test_a_mistake_is_said_at_its_field_and_nothing_is_written(root):
    page = root.post(NEW, {**GOOD, "schedule": "soon", "queue": "*"})
    found = words(page)
    assert "soon': give a cron expression" in found or "soon&#x27;: give a cron" in found
    assert "a comma or a star cannot be in it" in found
    assert 'value="soon"' in page.content.decode()
    assert not Schedule.objects.exists()


def test_one_that_is_deleted_meanwhile_is_said(root, monkeypatch):
    row = schedule("mine", from_code=False)
    check = data.check

    def late(*args, **kwargs):
        Schedule.objects.all().delete()
        return check(*args, **kwargs)

    monkeypatch.setattr(data, "check", late)
    assert said(root.post(f"{LIST}{row.pk}/", GOOD, follow=True)) == [
        "Schedule matching query does not exist."
    ]


def test_one_of_the_code_is_shown_but_not_changed_or_deleted(root, settings):
    settings.TASKQ = {"SCHEDULE": {"nightly": {"task": TICK, "schedule": "0 3 * * *"}}}
    schedule()
    page = f"{LIST}{Schedule.objects.get().pk}/"
    assert "it is changed there" in words(root.get(page))
    assert root.post(page, {**GOOD, "name": "nightly"}).status_code == 403
    assert "would come back: disable it" in said(press(root, "delete"))[0]


def test_making_and_changing_need_permissions():
    schedule("mine", from_code=False)
    page = f"{LIST}{Schedule.objects.get().pk}/"
    client = user_with("view_task")
    assert "Values" not in words(client.get(page))
    assert client.get(NEW).status_code == client.post(NEW, GOOD).status_code == 403
    assert client.post(page, GOOD).status_code == 403
