"""Single tasks in a real browser: why one waits, a group that is retried, a worker that dies."""

from __future__ import annotations

import os
import signal
import time

import pytest
from django.db.models.functions import Now

from stress.rig.pools import wait_until
from taskq.models import Schedule, State, Task
from tests.project.lab import tasks as lab
from tests.site.browser import BROWSER, NAMES
from tests.taskq.admin_site import HOUR, failed

from .screens import SCREENS, violations
from .site import FAILURES, QUEUES, SCHEDULES

pytestmark = [
    pytest.mark.postgresql,  # a browser tells no database from another
    pytest.mark.skipif(BROWSER is None, reason=f"on the path there is none of {NAMES}"),
    pytest.mark.django_db(transaction=True),
]

SEARCH = "/taskq/search/?q=mail"
TRACEBACK = """Traceback (most recent call last):
  File "/opt/lib/python3.12/site-packages/django/db.py", line 1, in get
    library()
  File "/srv/shop/tasks.py", line 12, in pay
    raise ValueError("no")
ValueError: no"""


def page(task):
    return f"/taskq/task/{task.pk}/"


@pytest.fixture
def broken():
    """Five tasks of one kind that have failed."""
    return [failed("shop.mail", error="ValueError: no", traceback=TRACEBACK) for _ in range(5)]


def test_a_queue_is_paused_and_its_task_says_so(browser, site, good_worker):
    task = Task.objects.create(name="shop.mail", queue="mail", execute_at=Now() - HOUR)
    browser.open(site + page(task))
    assert "paused" not in browser.text()
    browser.open(site + QUEUES)
    browser.click('button[aria-label="Pause mail"]')
    browser.wait_for_text("mail is paused")
    browser.open(site + page(task))
    browser.wait_for_text("Its queue mail is paused since")
    assert "by ada." in browser.text()
    assert browser.complaints == []


def test_a_group_of_failures_is_retried_by_click(browser, site, broken):
    browser.open(site + FAILURES)
    browser.wait_for_text("5 failed tasks")
    browser.click("#retry-1")
    browser.wait_for_text("Retry 5 tasks")
    browser.click("#confirm")
    browser.wait_for_text("5 tasks will run again.")
    assert Task.objects.pending().count() == 5
    assert not Task.objects.failed().exists()
    assert browser.complaints == []


def test_a_task_is_retried_and_cancelled_by_click(browser, site, broken):
    browser.open(site + page(broken[0]))
    browser.click("#verb-retry")
    browser.wait_for_text("The task will run again.")
    browser.click("#verb-cancel")
    browser.wait_for_text("The task waited, and was removed.")
    assert not Task.objects.filter(pk=broken[0].pk).exists()


def test_a_traceback_stays_open_while_the_page_renews_itself(browser, site, broken):
    browser.open(site + page(broken[0]))
    opened = "document.querySelector('details.library').open"
    browser.click("details.library summary")
    assert browser.run(opened)
    Task.objects.filter(pk=broken[0].pk).update(retries=17)
    browser.wait_for_text("17 retries")
    assert browser.run(opened)


def test_a_worker_that_dies_is_on_the_page_with_its_cause_and_its_stack(
    browser,
    site,
    start_pool,
    runs,
):
    pool = start_pool("-c", 1, TASKQ_TEST_READY="is_patient")
    sent = lab.nap.delay("long", 60)
    wait_until(lambda: runs("start", "long"), what="it runs")
    browser.open(f"{site}/taskq/task/{sent.id.int}/")
    browser.wait_for_text("It runs: worker 1 of")
    browser.click("#verb-stack")
    browser.wait_for_text("Where it was just now")
    assert "in nap" in browser.text()
    browser.open(f"{site}/taskq/task/{sent.id.int}/")
    (worker,) = pool.children("worker").values()
    began = time.monotonic()
    os.kill(worker, signal.SIGSEGV)
    browser.wait_for("document.querySelector('.timeline li.lost pre') !== null")
    took = time.monotonic() - began
    browser.run("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    text = browser.text()
    assert "SIGSEGV" in text
    assert "in nap" in text
    print(f"the loss was on the page after {took:.1f} s")  # 3 s, on a machine that is not busy
    assert browser.complaints == []


@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_screen(
    browser,
    site,
    broken,
    screen,
):
    Schedule.objects.create(
        name="nightly",
        task="shop.report",
        schedule="30 2 * * 1-5",
        time_zone="UTC",
        catch_up="once",
        payload="[[],{}]",
        queue="default",
        priority=0,
        max_losses=3,
        next_at=Now() - HOUR,
    )
    waiting = Task.objects.create(name="shop.mail", state=State.READY, queue="mail")
    width, height, dark, phone = SCREENS[screen]
    browser.look_like(width, height, dark=dark, phone=phone)
    browser.open(site + FAILURES)
    group = browser.run("document.querySelector('#retry-1').getAttribute('href')")
    for each in (page(waiting), page(broken[0]), FAILURES, group, SEARCH, SCHEDULES):
        browser.open(site + each)
        browser.run("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        found = violations(browser)
        assert [each for each in found if each[0] in ("serious", "critical")] == [], each
        assert browser.run("document.documentElement.scrollWidth") <= width, each
    assert browser.complaints == []
