"""Queues, names, workers and recent runs: what each page says."""

from __future__ import annotations

import json

import pytest
from django.db.models.functions import Now

from taskq import pausing
from taskq.models import Loss, PausedQueue, State, Task, Worker
from taskq.task.measures import End
from tests.taskq.admin_site import HOUR, said, text, user_with

from .site import NAME, NAMES, OVERVIEW, QUEUES, RUNS, WORKERS, ran, rolled_up, words

pytestmark = pytest.mark.django_db

PAUSE, RESUME = f"{QUEUES}pause/", f"{QUEUES}resume/"


def test_queues_with_the_oldest_due_task_come_first(root, good_worker):
    Task.objects.create(name="a", queue="fast", execute_at=Now() - HOUR)
    Task.objects.create(name="a", queue="slow", execute_at=Now() - 2 * HOUR)
    rolled_up(queue="quiet", done=90, failed=10)
    page = words(root.get(QUEUES))
    assert (
        page.index("slow 1 2:00:0")
        < page.index("fast 1 1:00:0")
        < page.index("quiet 0 - 0 1 100 1.7 a minute 10")
    )


def test_queue_without_a_pool_that_serves_it_says_so(root):
    Worker.objects.create(
        **{"pool": "h:1", "name": "worker 1", "host": "h", "pid": 2, "serves": "mail*"},
        lease_expires_at=Now() + HOUR,
    )
    Task.objects.create(name="a", queue="mail-slow", execute_at=Now() - HOUR)
    Task.objects.create(name="a", queue="other", execute_at=Now() - HOUR)
    page = words(root.get(QUEUES))
    assert "mail-slow 1" in page
    assert "other no worker serves it 1" in page


def test_buttons_pause_and_resume_a_queue_and_say_so(root):
    Task.objects.create(name="a", queue="mail", execute_at=Now() - HOUR)
    answer = root.post(PAUSE, {"queue": "mail"}, follow=True)
    assert said(answer) == ["mail is paused: its tasks wait."]
    assert "mail paused since" in words(answer)
    assert "by root" in words(answer)
    (pause,) = PausedQueue.objects.all()
    assert (pause.queue, pause.paused_by) == ("mail", "root")
    answer = root.post(RESUME, {"queue": "mail"}, follow=True)
    assert said(answer) == ["mail goes on."]
    assert not PausedQueue.objects.exists()


def test_a_second_click_says_that_nothing_was_to_do(root):
    pausing.pause("mail")
    assert said(root.post(PAUSE, {"queue": "mail"}, follow=True)) == ["mail was paused already."]
    assert said(root.post(RESUME, {"queue": "fax"}, follow=True)) == ["fax was not paused."]


def test_what_cannot_be_a_queue_is_an_error_and_no_crash(root):
    (text,) = said(root.post(PAUSE, {"queue": "*" * 70}, follow=True))
    assert "queue" in text
    assert not PausedQueue.objects.exists()


def test_a_form_of_another_site_pauses_nothing(root):
    root.handler.enforce_csrf_checks = True
    assert root.post(PAUSE, {"queue": "mail"}).status_code == 403
    assert not PausedQueue.objects.exists()


def test_a_link_pauses_nothing(root):
    assert root.get(PAUSE, {"queue": "mail"}).status_code == 405


@pytest.mark.parametrize(
    ("permission", "url", "button"),
    [("add_pausedqueue", PAUSE, "Pause"), ("delete_pausedqueue", RESUME, "Resume")],
)
def test_a_button_needs_the_permission_of_the_admin(permission, url, button):
    pausing.pause("mail")
    client = user_with("view_task")
    assert f"{button}</button>" not in text(client.get(QUEUES))
    assert client.post(url, {"queue": "default"}).status_code == 403
    client.logout()
    client = user_with("view_task", permission, username="manager")
    assert f"{button}</button>" in text(client.get(QUEUES))
    assert client.post(url, {"queue": "default"}).status_code == 302


def test_names_are_ordered_by_their_share_of_the_time(root):
    rolled_up("shop.small", done=10)
    rolled_up("shop.large", done=30, failed=10)
    page = words(root.get(NAMES))
    assert page.index("shop.large 80 % 40 0.67 a minute 10 25 %") < page.index(
        "shop.small 20 % 10 0.17 a minute 0"
    )


def test_the_page_of_a_name_has_its_figures_and_runs(root):
    rolled_up("shop.pay", done=10)
    rolled_up("shop.mail", done=99)
    ran("shop.pay", task_id=1)
    ran("shop.mail", task_id=2)
    page = words(root.get(NAME, {"name": "shop.pay"}))
    assert "Runs 10 10 done, 0.17 a minute" in page
    assert "shop.pay #1 done" in page
    assert "#2" not in page
    assert root.get(NAME).status_code == 404


def test_workers_stand_under_their_pool_with_what_they_run(root, good_worker, dead_worker):
    Task.objects.create(name="shop.report", state=State.RUNNING, worker=good_worker, attempt=1)
    page = words(root.get(WORKERS))
    assert "web-1:4711 1 worker, 1 busy" in page
    assert "worker 1 shop.report #" in page
    assert "worker 9 idle" in page
    assert "over 8" in page


def test_a_worker_that_died_has_its_cause_and_its_stack(root):
    Loss.objects.create(
        **{"pool": "web-1:4711", "host": "web-1", "worker": "worker 1", "pid": 7, "task_id": 77},
        **{"attempt": 1, "name": "shop.report", "cause": "killed by SIGKILL"},
        **{"place": "report.py:612", "stack": "File report.py, line 612 in <module>"},
    )
    rolled_up(lost=3)
    page = text(root.get(WORKERS))
    assert "line 612 in &lt;module&gt;" in page
    page = words(root.get(WORKERS))
    assert "3 runs were lost in this time" in page
    assert "killed by SIGKILL, was in report.py:612" in page
    assert "shop.report #77 worker 1 of web-1:4711" in page


def test_runs_are_filtered_by_name_outcome_and_time(root):
    ran("shop.pay", task_id=1)
    ran("shop.pay", task_id=2, end=End.FAILED)
    ran("shop.mail", task_id=3, seconds=9.0)

    def found(**query):
        page = words(root.get(RUNS, query))
        return [pk for pk in (1, 2, 3) if f"#{pk} " in page]

    assert found() == [1, 2, 3]
    assert found(name="shop.pay") == [1, 2]
    assert found(end=End.FAILED.value) == [2]
    assert found(slower="5") == [3]
    assert found(slower="nonsense", end="nonsense") == [1, 2, 3]


def test_the_charts_have_the_figures_of_each_step(root):
    rolled_up(done=10, failed=2, minutes=2)
    answer = root.get(f"{OVERVIEW}charts/", {"over": "hour"})
    numbers = json.loads(text(answer))
    ends = {end["kind"]: end["values"] for end in numbers["ends"]}
    assert len(numbers["at"]) == len(ends["done"]) == 61
    assert (ends["done"][-3], ends["failed"][-3], sum(ends["done"])) == (10, 2, 10)
    assert numbers["every"] == 60
    wait = numbers["times"][0]["values"]
    assert wait[-1] is None
    assert 0 < wait[-3] < 1


@pytest.mark.parametrize("over", ["hour", "day", "month", "nonsense"])
@pytest.mark.parametrize("page", [OVERVIEW, QUEUES, NAMES, WORKERS, f"{OVERVIEW}charts/"])
def test_each_page_has_each_time(root, page, over):
    rolled_up(done=10)
    assert root.get(page, {"over": over, "name": "x", "queue": "\0"}).status_code == 200


@pytest.mark.parametrize("page", [OVERVIEW, QUEUES, NAMES, NAME, WORKERS, RUNS])
def test_pages_and_their_live_parts_say_the_same_to_a_browser_without_scripts(root, page):
    ran()
    query = {"name": "shop.pay"}
    live = text(root.get(page, {**query, "live": "1"}))
    assert " ".join(live.split()) in " ".join(text(root.get(page, query)).split())
