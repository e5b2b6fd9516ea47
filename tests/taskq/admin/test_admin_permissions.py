"""Who may see, retry, cancel or delete tasks in the admin."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from taskq.models import Task, Worker
from tests.taskq.admin_site import LIST, SUMMARY, WORKERS, act, failed, page, text, user_with

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer():
    return user_with("view_task", "view_worker")


def test_viewer_sees_all_and_may_do_nothing(viewer, each_state):
    rows = text(viewer.get(LIST))
    assert "retry_selected" not in rows
    assert "delete_selected" not in rows
    for task in each_state.values():
        shown = text(viewer.get(page(task)))
        assert 'type="submit"' not in shown.partition("content-main")[2]
        assert "deletelink" not in shown
    text(viewer.get(SUMMARY))
    text(viewer.get(WORKERS))


def test_viewer_can_post_nothing(viewer, each_state):
    before = list(Task.objects.order_by("pk").values())
    task = each_state["failed"]
    act(viewer, "retry_selected", *each_state.values())
    act(viewer, "delete_selected", *each_state.values(), post="yes")
    assert viewer.post(page(task, "retry")).status_code == 403
    assert viewer.post(page(task, "delete"), {"post": "yes"}).status_code == 403
    assert viewer.post(page(task), {"name": "other"}).status_code == 403
    assert list(Task.objects.order_by("pk").values()) == before


def test_who_may_not_view_tasks_sees_none(each_state):
    client = user_with("view_worker")
    for url in (LIST, SUMMARY, page(each_state["failed"])):
        assert client.get(url).status_code == 403
    assert Client().get(SUMMARY).status_code == 302
    assert Client().post(page(each_state["failed"], "retry")).status_code == 302
    assert Task.objects.failed().count() == 1


def test_to_retry_needs_the_change_permission_and_no_other():
    client = user_with("view_task", "delete_task")
    task = failed()
    assert "retry_selected" not in text(client.get(LIST))
    assert "/retry/" not in text(client.get(page(task)))
    assert client.post(page(task, "retry")).status_code == 403
    client = Client()
    user = User.objects.create_user("changer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="change_task"))
    client.force_login(user)
    assert f'formaction="{page(task, "retry")}"' in text(client.get(page(task)))
    assert "delete_selected" not in text(client.get(LIST))
    assert client.get(page(task, "delete")).status_code == 403
    client.post(page(task, "retry"))
    assert Task.objects.pending().get() == task


def test_nobody_adds_or_edits_tasks_and_workers(root, good_worker):
    task = failed()
    assert root.get(f"{LIST}add/").status_code == 403
    assert root.post(page(task), {"name": "other", "_save": "1"}).status_code == 403
    assert root.get(f"{WORKERS}add/").status_code == 403
    assert root.post(f"{WORKERS}{good_worker.pk}/change/", {"name": "x"}).status_code == 403
    assert root.post(f"{WORKERS}{good_worker.pk}/delete/", {"post": "yes"}).status_code == 403
    assert "_selected_action" not in text(root.get(WORKERS))
    assert 'type="text"' not in text(root.get(page(task))).partition("content-main")[2]
    assert Worker.objects.count() == 1


def test_to_cancel_needs_the_change_permission_and_a_post(each_state):
    client = user_with("view_task", "delete_task")
    task = each_state["pending"]
    assert "cancel_selected" not in text(client.get(LIST))
    assert "/cancel/" not in text(client.get(page(task)))
    assert client.post(page(task, "cancel")).status_code == 403
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    assert client.get(page(task, "cancel")).status_code == 405
    assert Task.objects.filter(pk=task.pk).exists()
