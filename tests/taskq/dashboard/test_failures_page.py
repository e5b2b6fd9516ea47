"""Failed tasks by kind on the dashboard: a kind is retried or discarded after a confirmation."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client

from taskq import failures
from taskq.dashboard.pages import failures as page_of_failures
from taskq.models import State, Task
from taskq.tasks import work_off_failures
from taskq.testing import run_all
from tests.taskq.admin_site import failed, said, text, user_with

from .site import words

pytestmark = pytest.mark.django_db

LIST = "/taskq/failures/"
FRAME = 'Traceback (most recent call last):\n  File "/srv/shop/a.py", line 3, in pay\n    x()\n'


def fail(count, name="shop.pay", error="ValueError: no"):
    for _ in range(count):
        failed(name, error=error, traceback=FRAME + error, queue="mail")


def group_page(name="shop.pay"):
    (group,) = failures.groups("default", name=name).all
    return f"{LIST}{group.kind.key}/"


def press(client, verb, page=None, **more):
    return client.post(page or group_page(), {"verb": verb, **more}, follow=True)


def test_they_are_listed_by_kind_the_largest_first(root):
    assert "Nothing has failed." in words(root.get(LIST))


def test_each_kind_has_its_number_its_place_and_its_error(root):
    fail(3)
    fail(1, "shop.mail", "shop.Bounced: <gone>\nmore")
    found = words(root.get(LIST))
    assert "4 failed tasks" in found
    assert found.index("shop.pay srv/shop/a.py:pay ValueError: no 3") < found.index("shop.mail")
    assert "shop.Bounced: &lt;gone&gt; 1" in found
    assert "shop.pay" not in words(root.get(LIST, {"name": "shop.mail"}))
    found = words(root.get(group_page()))
    assert "3 tasks" in found
    assert "File &quot;/srv/shop/a.py&quot;, line 3, in pay" in found
    assert len(re.findall(r"/taskq/task/\d+/", text(root.get(group_page())))) == 3


def test_a_click_asks_first_and_says_how_many(root):
    fail(3)
    link = re.search(r'href="([^"]+)\?verb=retry"', text(root.get(LIST)))
    assert link
    found = words(root.get(f"{link[1]}?verb=retry"))
    assert "Retry 3 tasks" in found
    assert Task.objects.failed().count() == 3
    assert "Discard 3 tasks" in words(root.get(f"{link[1]}?verb=discard"))


def test_a_few_are_retried_or_discarded_at_once(root):
    fail(3)
    fail(2, "shop.mail")
    assert said(press(root, "retry")) == ["3 tasks will run again."]
    assert Task.objects.pending().filter(name="shop.pay").count() == 3
    assert said(press(root, "discard", group_page("shop.mail"))) == ["2 tasks were discarded."]
    assert not Task.objects.filter(name="shop.mail").exists()
    gone = f"{LIST}0123456789abcdef/"
    assert said(press(root, "retry", gone)) == ["No such task has failed any more."]
    assert "No task has failed in this way" in words(root.get(gone))


def test_many_are_worked_off_in_the_background_and_that_is_shown(root, monkeypatch):
    monkeypatch.setattr(page_of_failures, "AT_ONCE", 4)
    fail(25)
    page = group_page()
    answer = press(root, "retry", page, per_second="10")
    assert said(answer) == ["They are retried in the background, 10 a second."]
    assert "Failed tasks of shop.pay are being retried: 0 so far." in words(answer)
    (step,) = Task.objects.filter(name=work_off_failures.name)
    assert step.queue == "mail"
    Task.objects.filter(pk=step.pk).update(queue="steps")
    run_all(queues="steps")
    assert Task.objects.failed().count() == 15
    press(root, "retry", page, per_second="10")  # joins what goes on
    assert "being retried: 10 so far." in words(root.get(LIST))
    assert "Stop what is going on" in words(root.get(page))
    other = f"{LIST}0123456789abcdef/"
    assert said(press(root, "stop", other)) == ["Nothing was going on."]
    assert said(press(root, "stop", page)) == ["It was stopped."]
    assert said(press(root, "stop", page)) == ["Nothing was going on."]
    assert Task.objects.failed().count() == 15


@pytest.mark.parametrize(("given", "taken"), [("", 100), ("x", 100), ("0", 1), ("9999", 1000)])
def test_a_pace_is_limited(root, monkeypatch, given, taken):
    monkeypatch.setattr(page_of_failures, "AT_ONCE", 1)
    fail(2)
    assert f"{taken:,} a second" in said(press(root, "discard", per_second=given))[0]


def test_only_the_newest_are_read_and_older_ones_are_acted_on_too(root, monkeypatch):
    monkeypatch.setattr(failures, "NEWEST", 2)
    fail(5)
    assert "Of the newest 2 failed tasks" in words(root.get(LIST))
    assert "among the newest 2 failed ones" in words(root.get(group_page()))
    assert "in the background" in said(press(root, "discard"))[0]
    run_all()
    assert not Task.objects.failed().exists()


def test_the_verbs_need_the_permissions_of_the_admins_actions():
    fail(2)
    client = user_with("view_task")
    assert "verb=" not in text(client.get(LIST))
    assert "confirm" not in text(client.get(f"{group_page()}?verb=retry"))
    for verb in ("retry", "discard", "stop"):
        assert client.post(group_page(), {"verb": verb}).status_code == 403
    User.objects.all().delete()
    client = user_with("change_task")
    assert client.post(group_page(), {"verb": "discard"}).status_code == 403
    assert client.post(group_page(), {"verb": "hide"}).status_code == 400
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get())
    assert strict.post(group_page(), {"verb": "retry"}).status_code == 403
    assert Task.objects.failed().count() == 2


def test_a_step_that_was_sent_by_hand_is_not_shown(root):
    Task.objects.create(
        name=work_off_failures.name, unique_key="x", unique_place=0, execute_at=Now()
    )
    assert "so far" not in words(root.get(LIST))
    Task.objects.update(state=State.READY, payload="odd")
    assert "so far" not in words(root.get(LIST))
