"""Retrying and cancelling tasks in the admin."""

from __future__ import annotations

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client

from taskq.models import Result, State, Task, TaskQuerySet, Worker
from tests.taskq.admin_site import HOUR, LIST, act, failed, page, running, said, text

pytestmark = pytest.mark.django_db


# Retrying


def test_retry_button_makes_a_failed_task_due(root):
    task = failed(retries=3, error="ValueError: it broke")
    shown = text(root.get(page(task)))
    assert f'formaction="{page(task, "retry")}"' in shown
    response = root.post(page(task, "retry"), follow=True)
    assert response.redirect_chain == [(page(task), 302)]
    assert said(response) == ["1 task will run again."]
    assert Task.objects.pending().get().retries == 0
    assert "/retry/" not in text(response)
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.get_change_message()) == (str(task.pk), "Retried")


def test_retry_keeps_the_filters_of_the_list_it_came_from(root):
    task = failed()
    kept = "?_changelist_filters=state%3Dfailed"
    assert f"{page(task, 'retry')}{kept}" in text(root.get(page(task) + kept))
    assert root.post(page(task, "retry") + kept).headers["Location"] == page(task) + kept


def test_retry_is_never_a_get(root):
    task = failed()
    assert root.get(page(task, "retry")).status_code == 405
    assert root.head(page(task, "retry")).status_code == 405
    assert Task.objects.failed().get() == task
    assert re.findall(r'href="[^"]*/retry/', text(root.get(page(task)))) == []


def test_retry_needs_the_csrf_token():
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root"))
    task = failed()
    assert client.post(page(task, "retry")).status_code == 403
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', text(client.get(page(task))))[1]
    answer = client.post(page(task, "retry"), {"csrfmiddlewaretoken": token})
    assert answer.status_code == 302
    assert Task.objects.pending().get() == task


@pytest.mark.parametrize("state", ["pending", "future", "active"])
def test_retry_button_is_there_only_where_it_does_something(root, each_state, state):
    task = each_state[state]
    assert "/retry/" not in text(root.get(page(task)))
    before = Task.objects.values().get(pk=task.pk)
    response = root.post(page(task, "retry"), follow=True)
    assert Task.objects.values().get(pk=task.pk) == before
    assert said(response) == [
        "1 task runs and was left alone."
        if state == "active"
        else "Nothing to retry: no such task failed, is lost or waits for its next run."
    ]
    assert not LogEntry.objects.exists()


def test_retry_button_hastens_a_task_that_waits_for_its_next_run(root):
    task = Task.objects.create(name="a", attempt=1, retries=1, execute_at=Now() + HOUR)
    assert "/retry/" in text(root.get(page(task)))
    root.post(page(task, "retry"))
    assert Task.objects.pending().get() == task


@pytest.mark.parametrize("verb", ["retry", "cancel", "change", "delete", "history"])
def test_a_task_that_has_finished_meanwhile_is_said_to_have(root, verb):
    kept = Result.objects.create(
        **{"id": 12, "name": "a", "payload": "[[],{}]", "queue": "default", "priority": 0},
        **{"created_at": Now(), "started_at": Now(), "finished_at": Now()},
        **{"worker": "a/worker 1/7", "value": "[[1],{}]"},
    )
    for url, what in (
        (f"{LIST}{kept.pk}/{verb}/", "Task #12 has finished since; nothing is left to do."),
        (f"{LIST}13/{verb}/", "There is no task #13: it has finished since, or was deleted."),
    ):
        send = root.post if verb in ("retry", "cancel") else root.get
        response = send(url, follow=True)
        assert response.redirect_chain == [(LIST, 302)]
        (message,) = said(response)
        assert message.startswith(what)


def test_what_was_never_the_id_of_a_task_is_not_said_to_have_finished(root):
    (message,) = said(root.get(f"{LIST}abc/change/", follow=True))
    assert "finished" not in message


def test_deleting_what_has_finished_meanwhile_says_so(root):
    task = failed()
    Task.objects.all().discard()
    response = act(root, "delete_selected", task, post="yes")
    assert said(response)[0].startswith("Nothing to delete")


LOST = pytest.mark.parametrize("how", ["lease ran out", "worker is gone"])


@pytest.fixture
def lost(each_state, how):
    if how == "worker is gone":
        Worker.objects.get(tasks=each_state["lost"]).delete()
    return each_state["lost"]


@LOST
def test_what_is_lost_can_be_retried(root, lost):
    assert "/retry/" in text(root.get(page(lost)))
    assert said(root.post(page(lost, "retry"), follow=True)) == ["1 task will run again."]
    assert lost in Task.objects.pending()


@LOST
def test_what_is_lost_can_be_cancelled(root, lost):
    act(root, "cancel_selected", lost)
    assert lost in Task.objects.cancelled()


@LOST
def test_what_is_lost_can_be_deleted(root, lost):
    assert "runs now" not in text(act(root, "delete_selected", lost))
    assert said(act(root, "delete_selected", lost, post="yes")) == ["1 task was deleted."]
    assert lost not in Task.objects.all()


def test_retry_action_leaves_what_runs_alone_and_says_how_many(root):
    broken, busy = [failed(), failed(), failed()], [running(), running()]
    before = list(Task.objects.filter(state=State.RUNNING).values())
    response = act(root, "retry_selected", *broken[:2], *busy)
    assert said(response) == [
        "2 tasks will run again.",
        "2 tasks run and were left alone.",
    ]
    assert set(Task.objects.pending()) == set(broken[:2])
    assert list(Task.objects.filter(state=State.RUNNING).values()) == before
    entry = LogEntry.objects.get()
    assert str(entry.object_repr) == "2 tasks"
    for task in (*broken[:2], *busy):
        assert f"#{task.pk}" in entry.change_message
    text(root.get("/admin/"))  # shows it among the recent actions


def test_retry_action_on_all_that_a_filter_lets_through(root):
    for _ in range(60):  # more than a page
        failed("mine")
    other = failed("other")
    response = root.post(
        f"{LIST}?state=failed&name=mine",
        {
            "action": "retry_selected",
            "_selected_action": [Task.objects.filter(name="mine").latest("pk").pk],
            "select_across": "1",
        },
        follow=True,
    )
    assert said(response) == ["60 tasks will run again."]
    assert Task.objects.failed().get() == other
    assert "state=failed&name=mine" in LogEntry.objects.get().change_message


def test_what_is_retried_and_runs_at_once_is_not_said_to_have_been_left_alone(root, monkeypatch):
    task = failed()
    retry = TaskQuerySet.retry

    def retry_and_run(tasks):
        retried = retry(tasks)
        Task.objects.update(state=State.RUNNING)
        return retried

    monkeypatch.setattr(TaskQuerySet, "retry", retry_and_run)
    assert said(act(root, "retry_selected", task)) == ["1 task will run again."]


def test_retry_says_how_many_have_a_rival_for_their_unique_key(root):
    key = {"unique_key": "k", "unique_until": "finish", "unique_place": 0}
    first, second, other = failed(**key), failed(**key), failed()
    response = act(root, "retry_selected", first, second, other)
    assert said(response) == [
        "2 tasks will run again.",
        "1 task was left alone: another waits or runs with its unique key.",
    ]
    assert Task.objects.failed().get() == first
    response = root.post(page(first, "retry"), follow=True)
    assert said(response) == ["1 task was left alone: another waits or runs with its unique key."]
    assert Task.objects.failed().get() == first


# Cancelling


def test_cancel_button_removes_what_waits(root, each_state):
    task = each_state["pending"]
    assert f'formaction="{page(task, "cancel")}"' in text(root.get(page(task)))
    response = root.post(page(task, "cancel"), follow=True)
    assert response.redirect_chain == [(LIST, 302)]
    assert said(response) == ["1 waiting task was removed."]
    assert not Task.objects.filter(pk=task.pk).exists()
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.get_change_message()) == (str(task.pk), "Cancelled")


def test_cancel_button_asks_what_runs_to_end(root, each_state):
    task = each_state["active"]
    response = root.post(page(task, "cancel"), follow=True)
    assert response.redirect_chain == [(page(task), 302)]
    assert said(response) == ["1 task runs and was asked to end."]
    task.refresh_from_db()
    assert (task.state, task.cancelled_at is not None) == (State.RUNNING, True)
    assert "/cancel/" not in text(response)
    assert '<span class="taskq-active">active</span>, asked to end' in text(root.get(LIST))


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_what_is_over_cannot_be_cancelled(root, each_state, state):
    task = each_state[state]
    assert "/cancel/" not in text(root.get(page(task)))
    response = root.post(page(task, "cancel"), follow=True)
    assert said(response) == ["Nothing to cancel: no such task waits or runs."]
    assert not LogEntry.objects.exists()


def test_selected_tasks_are_cancelled(root, each_state):
    response = act(root, "cancel_selected", *each_state.values())
    assert said(response) == [
        "3 waiting tasks were removed.",
        "2 tasks run and were asked to end.",
    ]
    assert LogEntry.objects.get().object_repr == "5 tasks"
    assert set(Task.objects.values_list("name", flat=True)) == {
        *("is.active", "is.lost", "is.failed", "is.cancelled")
    }
