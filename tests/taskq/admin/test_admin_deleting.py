"""Deleting tasks in the admin."""

from __future__ import annotations

import re

import pytest
from django.contrib.admin import ModelAdmin
from django.contrib.admin.models import LogEntry

from taskq.models import State, Task, TaskQuerySet
from tests.taskq.admin_site import LIST, act, failed, page, running, said, text

pytestmark = pytest.mark.django_db


def test_delete_action_asks_first_and_then_deletes_what_does_not_run(root):
    gone, busy, kept = failed(), running(), failed()
    asked = act(root, "delete_selected", gone, busy)
    assert Task.objects.count() == 3
    shown = text(asked)
    assert "delete 2 tasks?" in shown
    assert "1 of them runs now and will be left alone." in shown
    assert str(gone) in shown
    # What its form would send.
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="(\w*)"', shown)
    data = {name: [v for n, v in fields if n == name] for name, _ in fields}
    response = root.post(LIST, data, follow=True)
    assert said(response) == ["1 task was deleted.", "1 task runs and was left alone."]
    assert set(Task.objects.all()) == {busy, kept}
    assert LogEntry.objects.get().change_message == f"Deleted: #{gone.pk}, #{busy.pk}"


def test_delete_action_on_all_that_a_filter_lets_through(root):
    for _ in range(60):
        failed("mine")
    other = failed("other")
    first = {
        "action": "delete_selected",
        "_selected_action": [Task.objects.filter(name="mine").latest("pk").pk],
        "select_across": "1",
    }
    url = f"{LIST}?state=failed&name=mine"
    shown = text(root.post(url, first))
    assert "delete 60 tasks?" in shown
    assert "and 40 more" in shown
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="(\w*)"', shown)
    response = root.post(url, dict(fields), follow=True)
    assert said(response) == ["60 tasks were deleted."]
    assert Task.objects.get() == other


def test_a_task_that_starts_between_the_question_and_the_answer_is_left_alone(root, good_worker):
    task = failed()
    act(root, "delete_selected", task)
    Task.objects.update(state=State.RUNNING, worker=good_worker)
    response = act(root, "delete_selected", task, post="yes")
    assert said(response) == ["1 task runs and was left alone."]
    assert Task.objects.get() == task


def test_delete_button_asks_first_and_deletes(root):
    task = failed()
    assert page(task, "delete") in text(root.get(page(task)))
    assert str(task) in text(root.get(page(task, "delete")))
    assert Task.objects.get() == task
    response = root.post(page(task, "delete"), {"post": "yes"}, follow=True)
    assert "deleted successfully" in said(response)[0]
    assert not Task.objects.exists()
    assert LogEntry.objects.get().object_id == str(task.pk)


def test_delete_button_is_not_there_and_does_nothing_while_a_task_runs(root):
    task = running()
    assert page(task, "delete") not in text(root.get(page(task)))
    response = root.post(page(task, "delete"), {"post": "yes"}, follow=True)
    assert said(response) == ["The task was not deleted: a worker holds it, or has finished it."]
    assert Task.objects.get() == task
    assert not LogEntry.objects.exists()


def test_a_deletion_is_logged_once_it_is_one(root, monkeypatch):
    """The log may be in another database than the tasks, and is not rolled back with them."""
    log = []
    monkeypatch.setattr(TaskQuerySet, "discard", lambda tasks: log.append("discarded") or 1)
    write = ModelAdmin.log_deletions

    def log_deletions(*given):
        log.append("logged")
        return write(*given)

    monkeypatch.setattr(ModelAdmin, "log_deletions", log_deletions)
    root.post(page(failed(), "delete"), {"post": "yes"})
    assert log == ["discarded", "logged"]
    assert LogEntry.objects.count() == 1
