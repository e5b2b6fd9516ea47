"""The admin of tasks and workers as its tests use it: who looks, at what, and what it says."""

from __future__ import annotations

import datetime
import re

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models.functions import Now
from django.test import Client

from taskq.models import State, Task, Worker

HOUR = datetime.timedelta(hours=1)
LIST = "/admin/taskq/task/"
WORKERS = "/admin/taskq/worker/"
SUMMARY = "/admin/taskq/task/summary/"


def page(task, verb="change"):
    return f"{LIST}{task.pk}/{verb}/"


def user_with(*permissions, username="staff"):
    """A client of somebody on the staff with these permissions on tasks and workers."""
    user = User.objects.create_user(username, is_staff=True)
    for permission in permissions:
        user.user_permissions.add(Permission.objects.get(codename=permission))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def root():
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def good_worker():
    return Worker.objects.create(
        pool="web-1:4711", name="worker 1", host="web-1", pid=7, lease_expires_at=Now() + HOUR
    )


@pytest.fixture
def dead_worker():
    return Worker.objects.create(
        pool="web-2:4712", name="worker 9", host="web-2", pid=8, lease_expires_at=Now() - HOUR
    )


@pytest.fixture
def each_state(good_worker, dead_worker):
    """A task in each state that a person asks for, of the name of that state."""
    make = Task.objects.create
    return {
        "pending": make(name="is.pending"),
        "future": make(name="is.future", execute_at=Now() + HOUR),
        "active": make(name="is.active", state=State.RUNNING, worker=good_worker, attempt=1),
        "lost": make(name="is.lost", state=State.RUNNING, worker=dead_worker, attempt=1),
        "failed": make(name="is.failed", state=State.FAILED, attempt=1, failed_at=Now()),
        "cancelled": make(
            name="is.cancelled", state=State.FAILED, attempt=1, failed_at=Now(), cancelled_at=Now()
        ),
        "blocked": make(name="is.blocked", state=State.BLOCKED),
    }


def failed(name="boom", **fields):
    return Task.objects.create(name=name, state=State.FAILED, attempt=4, failed_at=Now(), **fields)


def running(**fields):
    worker, _ = Worker.objects.get_or_create(
        pk=1_000_077,
        pool="web-3:4713",
        name="worker 3",
        host="web-3",
        pid=9,
        defaults={"lease_expires_at": Now() + HOUR},
    )
    return Task.objects.create(name="runs", state=State.RUNNING, worker=worker, attempt=1, **fields)


def text(response):
    assert response.status_code == 200
    return response.content.decode()


def listed(client, **query):
    """The ids in the task list."""
    found = re.findall(
        r'field-id"><a href="/admin/taskq/task/(\d+)/', text(client.get(LIST, query))
    )
    return {int(pk) for pk in found}


def act(client, action, *tasks, follow=True, **more):
    data = {"action": action, "_selected_action": [task.pk for task in tasks], **more}
    return client.post(LIST, data, follow=follow)


def said(response):
    return [str(message) for message in response.context["messages"]]


def check_that_it_can_only_be_looked_at(root, row):
    """By nobody but those with the permission to view rows of its kind."""
    kind = row._meta.model_name
    rows = f"/admin/taskq/{kind}/"
    assert root.get(f"{rows}add/").status_code == 403
    for verb in ("delete", "change"):
        answer = root.post(f"{rows}{row.pk}/{verb}/", {"post": "yes", "name": "x"})
        assert answer.status_code == 403
    root.post(rows, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    before = row.name
    row.refresh_from_db()
    assert row.name == before
    others = {"task", "result", "finishedtask", "loss"} - {kind}
    stranger = user_with(*(f"view_{each}" for each in others), username="stranger")
    assert stranger.get(rows).status_code == 403
    assert user_with(f"view_{kind}").get(rows).status_code == 200
