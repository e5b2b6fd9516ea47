"""The first page: what it says of an empty queue, of a busy one and of a stuck one."""

from __future__ import annotations

import datetime
import re

import pytest
from django.db.models.functions import Now

from taskq import pausing
from taskq.dashboard.remembered import remembered
from taskq.models import State, Task
from taskq.task.measures import End
from taskq.task.progress import Progress
from tests.taskq.admin_site import HOUR, text

from .site import OVERVIEW, ran, rolled_up, words

pytestmark = pytest.mark.django_db


def test_an_empty_dashboard_tells_a_newcomer_what_to_do(root):
    page = words(root.get(OVERVIEW))
    assert "Nothing has run yet" in page
    assert "python manage.py taskq_pool" in page
    assert "No worker is alive" in page


def test_a_newcomer_whose_pool_is_up_is_told_the_rest(root, good_worker):
    page = words(root.get(OVERVIEW))
    assert "Nothing has run yet" in page
    assert "A pool is up." in page
    assert "Nothing has run yet" not in words(root.get(OVERVIEW, {"queue": "mail"}))


def test_it_says_when_nothing_is_measured(root, settings):
    settings.TASKQ = {"STATISTICS": False}
    assert 'No figures are measured: TASKQ["STATISTICS"] is False.' in words(root.get(OVERVIEW))


def test_a_run_that_was_noted_answers_whether_it_ran(root):
    ran("shop.pay", task_id=12, seconds=0.25)
    page = words(root.get(OVERVIEW))
    assert "Nothing has run yet" not in page
    assert "shop.pay #12 done" in page
    assert "0.25 s" in page


def test_figures_are_those_of_the_roll_ups(root):
    rolled_up(done=1200, failed=30)
    rolled_up("shop.mail", queue="mail", lost=4, minutes=7)
    page = words(root.get(OVERVIEW))
    assert "Runs 1,234 1,200 done" in page
    assert "Failed 30 2.4 %" in page
    assert "Lost 4" in page
    page = words(root.get(OVERVIEW, {"name": "shop.mail"}))
    assert "Runs 4 0 done" in page


def test_the_oldest_due_lane_comes_first_with_its_first_task(root):
    Task.objects.create(name="new", queue="fast", execute_at=Now() - HOUR)
    Task.objects.create(name="old", queue="slow", priority=5, execute_at=Now() - 5 * HOUR)
    Task.objects.create(name="later", queue="slow", execute_at=Now() + HOUR)
    page = words(root.get(OVERVIEW))
    assert page.index("slow priority 5 5:00:0") < page.index("fast 1:00:0")
    assert "Waiting 2 due, 1 for later" in page
    assert "Tasks wait, and no worker is alive" in page


def test_what_waits_in_a_paused_queue_is_no_trouble(root, good_worker):
    Task.objects.create(name="a", queue="mail", execute_at=Now() - HOUR)
    assert "The oldest due task has waited for 1:00:00" in words(root.get(OVERVIEW))
    pausing.pause("mail")
    remembered.forget()
    page = words(root.get(OVERVIEW))
    assert "All done: nothing is due." not in page
    assert "What is due waits in paused queues." in page
    assert "mail paused 1:00:0" in page


def test_what_runs_now_is_shown_with_progress_and_limit(root, good_worker):
    Task.objects.create(
        name="shop.report",
        state=State.RUNNING,
        worker=good_worker,
        attempt=2,
        started_at=Now() - datetime.timedelta(seconds=90),
        progress=Progress(30, 120).stored(2),
    )
    page = words(root.get(OVERVIEW))
    assert "Work flows: 1 task runs" in page
    assert re.search(r"shop\.report #\d+ 1:3\d 30 of 120 \(25 %\)", page)
    assert "worker 1 web-1:4711" in page


def test_a_run_of_a_worker_whose_lease_is_over_is_marked(root, dead_worker):
    Task.objects.create(name="gone", state=State.RUNNING, worker=dead_worker, attempt=1)
    assert "lease over" in words(root.get(OVERVIEW))


def test_outcomes_are_named(root):
    for end in End:
        ran(f"name.of.{end.name}", end=end)
    page = words(root.get(OVERVIEW))
    assert all(f"name.of.{end.name} #7 {end.label}" in page for end in End)


def test_the_live_part_is_not_sent_twice(root):
    first = root.get(OVERVIEW, {"live": "1"})
    assert "<html" not in text(first)
    again = root.get(OVERVIEW, {"live": "1"}, headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 304
    assert not again.content
    ran()
    remembered.forget()
    changed = root.get(OVERVIEW, {"live": "1"}, headers={"If-None-Match": first["ETag"]})
    assert changed.status_code == 200


def test_names_of_rows_cannot_be_markup(root):
    Task.objects.create(name="<script>alert(1)</script>", queue="<b>", execute_at=Now() - HOUR)
    page = text(root.get(OVERVIEW))
    assert "<script>alert" not in page
    assert "&lt;b&gt;" in page
