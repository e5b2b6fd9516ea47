"""The page of a task: what it says, and its buttons."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client
from django.urls import resolve

from taskq import pausing
from taskq.dashboard.remembered import remembered
from taskq.models import State, Task
from tests.taskq.admin_site import HOUR, failed, running, said, text, user_with

from .site import RUNS, ran, words

pytestmark = pytest.mark.django_db

TRACEBACK = """Traceback (most recent call last):
  File "/opt/lib/python3.12/site-packages/django/db.py", line 1, in get
    library()
  File "/srv/shop/tasks.py", line 12, in pay
    raise ValueError("<no>")
ValueError: <no>"""


def page(task, form=""):
    return f"/taskq/task/{form or getattr(task, 'pk', task)}/"


def press(client, task, verb):
    return client.post(page(task), {"verb": verb}, follow=True)


def buttons(client, task):
    found = text(client.get(page(task)))
    return [verb for verb in ("retry", "run_now", "cancel", "discard") if f"verb-{verb}" in found]


def test_it_says_why_a_task_waits(root):
    task = Task.objects.create(name="shop.pay", queue="mail", payload='[["a", 5], {"x": 1}]')
    pausing.pause("mail", by="ada")
    found = words(root.get(page(task)))
    assert f"shop.pay #{task.pk}" in found
    assert "Its queue mail is paused since" in found
    assert "by ada." in found
    assert "No worker is alive." in found
    assert "&#x27;a&#x27;, 5, x=1" in found
    assert "No run is noted." in found


def test_it_is_found_by_the_uuid_too(root):
    task = Task.objects.create(name="shop.pay")
    assert f"#{task.pk}" in words(root.get(page(task, str(task.uuid))))
    for wrong in ("mail", "-", "0x1"):
        assert root.get(page(wrong)).status_code == 404
    assert "There is no such task" in words(root.get(page("f" * 32)))


def test_a_failure_has_its_traceback_with_libraries_folded(root):
    task = failed("shop.pay", error="ValueError: <no>", traceback=TRACEBACK)
    found = text(root.get(page(task)))
    assert "ValueError: &lt;no&gt;" in found
    assert "1 frame of a library" in found
    library = found.partition('<details class="library">')[2].partition("</details>")[0]
    assert "library()" in library
    assert "tasks.py" not in library


def test_sensitive_arguments_are_masked(root, registered):
    from taskq.celery import shared_task

    @shared_task(name="shop.login", sensitive=("token",))
    def login(user, token):
        pass

    task = Task.objects.get(pk=login.delay("ada", "secret-token").id.int)
    found = text(root.get(page(task)))
    assert "ada" in found
    assert "secret-token" not in found


def test_a_run_that_was_noted_is_the_answer_where_the_row_is_gone(root):
    ran("shop.pay", task_id=77, seconds=1.5)
    found = words(root.get(page(77)))
    assert "It is done: worker 1 of web-1:4711 started it" in found
    assert "Attempt 1" in found
    assert "Its row is gone, and with it the arguments." in found
    assert f'href="{page(77)}"' in text(root.get(RUNS))


def test_there_are_the_buttons_that_would_do_something(root, each_state):
    assert {state: buttons(root, task) for state, task in each_state.items()} == {
        "pending": ["cancel"],
        "future": ["run_now", "cancel"],
        "active": ["cancel"],
        "lost": ["retry", "cancel", "discard"],
        "failed": ["retry", "discard"],
        "cancelled": ["retry", "discard"],
        "blocked": ["cancel"],
    }
    retried = Task.objects.create(name="r", attempt=1, execute_at=Now() + HOUR)
    assert buttons(root, retried) == ["retry", "run_now", "cancel"]
    assert buttons(root, 4711) == []


def test_the_buttons_do_what_they_say(root):
    task = failed(error="E: e")
    assert said(press(root, task, "retry")) == ["The task will run again."]
    assert Task.objects.pending().get() == task
    assert said(press(root, task, "retry")) == ["There is nothing to retry."]
    Task.objects.update(execute_at=Now() + HOUR)
    assert said(press(root, task, "run_now")) == ["The task is due now."]
    assert Task.objects.pending().get() == task
    assert said(press(root, task, "cancel")) == ["The task waited, and was removed."]
    assert said(press(root, task, "cancel"))[0].startswith("Nothing to cancel")
    task = running()
    assert said(press(root, task, "cancel")) == ["The task runs, and was asked to end."]
    assert said(press(root, task, "discard"))[0].startswith("The task was not discarded")
    Task.objects.update(state=State.FAILED, worker=None, failed_at=Now())
    assert said(press(root, task, "discard")) == ["The task was discarded."]
    assert not Task.objects.exists()


def test_a_stack_is_asked_for_outside_of_a_transaction_and_only_of_a_run(root):
    view = resolve(page(1)).func
    assert view._non_atomic_requests
    assert said(press(root, failed(), "stack"))[0].endswith("does not run: it is failed")
    assert "verb-stack" in text(root.get(page(running())))


def test_a_verb_that_there_is_not_is_refused(root):
    task = failed()
    assert root.post(page(task), {"verb": "pk__in"}).status_code == 400
    assert root.post(page(task)).status_code == 400


def test_the_buttons_need_the_permissions_of_the_admins_actions():
    task = failed()
    client = user_with("view_task")
    assert buttons(client, task) == []
    for verb in ("retry", "run_now", "cancel", "discard"):
        assert client.post(page(task), {"verb": verb}).status_code == 403
    User.objects.all().delete()
    client = user_with("change_task")
    assert buttons(client, task) == ["retry"]
    assert client.post(page(task), {"verb": "discard"}).status_code == 403
    User.objects.all().delete()
    client = user_with("view_task", "delete_task")
    assert buttons(client, task) == ["discard"]
    assert client.post(page(task), {"verb": "retry"}).status_code == 403
    assert Client().post(page(task), {"verb": "retry"}).status_code == 302
    assert Task.objects.failed().count() == 1


def test_a_button_needs_the_token_of_its_page(root):
    task = failed()
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get())
    assert strict.post(page(task), {"verb": "retry"}).status_code == 403
    assert root.get(f"{page(task)}?verb=retry").status_code == 200
    assert Task.objects.failed().count() == 1


def test_the_live_part_has_each_new_run_and_the_buttons(root):
    task = Task.objects.create(name="shop.pay")
    url = root.get(page(task)).context["live_url"]
    found = text(root.get(url))
    assert "<html" not in found
    assert "verb-cancel" in found
    assert "No run is noted." in found
    Task.objects.update(
        state=State.FAILED, attempt=1, failed_at=Now(), error="E: e", traceback=TRACEBACK
    )
    remembered.forget()
    found = text(root.get(url))
    assert "verb-retry" in found
    assert "E: e" in found
    assert "hx-preserve" in found
    assert root.get(url, headers={"If-None-Match": root.get(url)["ETag"]}).status_code == 304


def test_odd_rows_have_a_page(root):
    task = Task.objects.create(
        name="odd\x1b", payload="not json", state=9, error="\x1b", history="{}", queue="a b"
    )
    found = text(root.get(page(task)))
    assert "\x1b" not in found
    assert "not json" in found
