"""The dashboard in a real browser: it says nothing on the console, asks no other host, is usable by
everybody, renews itself, and pauses a queue by a click."""

from __future__ import annotations

import pytest
from django.db.models.functions import Now

from taskq import pausing
from taskq.models import PausedQueue, Schedule, SentWorkflow, State, Task
from taskq.task.progress import Progress
from taskq.workflow import Workflow
from tests.project.lab import lost
from tests.project.lab import tasks as lab
from tests.site.browser import BROWSER, NAMES
from tests.taskq.admin_site import HOUR

from .screens import SCREENS, violations
from .site import NAME, OVERVIEW, QUEUES, RUNS, WORKERS, WORKFLOWS, ran, rolled_up
from .site import NAMES as TASK_NAMES

pytestmark = [
    pytest.mark.postgresql,  # a browser tells no database from another
    pytest.mark.skipif(BROWSER is None, reason=f"on the path there is none of {NAMES}"),
    pytest.mark.django_db(transaction=True),
]

PAGES = [
    *(OVERVIEW, QUEUES, TASK_NAMES, f"{NAME}?name=shop.pay", WORKERS, RUNS),
    *(
        f"{OVERVIEW}{page}/"
        for page in ("failures", "schedules", "schedules/new", "search", "task/4711")
    ),
    *(f"{OVERVIEW}search/?name=shop.mail", f"{OVERVIEW}search/?q=report"),
    *(WORKFLOWS, f"{WORKFLOWS}4711/", f"{WORKFLOWS}4711/?node=0&verb=cancel"),
    *(f"{WORKFLOWS}4712/", f"{OVERVIEW}search/?q=4711"),
]
#: Whether a table is nowhere wider than its place, except where figures over time are listed.
TABLES_FIT = (
    "[...document.querySelectorAll('.scroll')]"
    ".every((each) => each.closest('details') || each.scrollWidth <= each.clientWidth)"
)


@pytest.fixture
def busy(good_worker):
    """A queue in which something happens."""
    for minutes in range(60):
        rolled_up(done=40 + minutes, failed=minutes % 7, retried=2, minutes=minutes)
    for number in range(30):
        ran(end=number % 5, task_id=number)
    Task.objects.create(name="shop.mail", queue="mail", execute_at=Now() - HOUR)
    Task.objects.create(
        **{"id": 4711, "name": "shop.pay", "state": State.FAILED, "attempt": 1},
        **{"error": "ValueError: no", "traceback": "Traceback\nValueError: no"},
        failed_at=Now(),
    )
    Schedule.objects.create(
        **{"name": "nightly", "task": "shop.pay", "schedule": "0 3 * * *", "time_zone": "UTC"},
        **{"payload": "[[], {}]", "queue": "default", "priority": 0, "max_losses": 3},
        next_at=Now(),
    )
    Task.objects.create(
        **{"name": "shop.report", "state": State.RUNNING, "worker": good_worker, "attempt": 1},
        progress=Progress(30, 120).stored(1),
    )
    pausing.pause("paused", by="ada")
    workflow(4711, 30, failed=2)
    workflow(4712, 3, failed=1)


def workflow(id, parts, *, failed):
    """Parts, of which some have failed and others are done, and two steps after them."""
    flow = Workflow("monthly report")
    steps = [flow.add(lab.add, [number, 0]) for number in range(parts)]
    total = flow.add(lab.trace, [flow.results(steps)])
    flow.add(lab.noop, after=[total])
    sent = flow.send()
    SentWorkflow.objects.filter(pk=sent.pk).update(id=id)
    Task.objects.filter(workflow=sent.pk).update(workflow=id)
    chosen = Task.objects.filter(pk__in=sent.task_ids[:failed])
    chosen.update(state=State.FAILED, attempt=1, failed_at=Now(), error="ValueError: no")
    Task.objects.filter(pk__in=sent.task_ids[failed:parts]).delete()
    return sent.task_ids


@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_screen(
    browser, site, busy, screen
):
    width, height, dark, phone = SCREENS[screen]
    browser.look_like(width, height, dark=dark, phone=phone)
    for page in PAGES:
        browser.open(site + page)
        browser.run("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        found = violations(browser)
        assert [each for each in found if each[0] in ("serious", "critical")] == [], page
        assert browser.run("document.documentElement.scrollWidth") <= width, page
        assert phone or browser.run(TABLES_FIT), page


def test_an_empty_dashboard_is_usable_too(browser, site):
    browser.open(site + OVERVIEW)
    assert violations(browser) == []
    assert "Nothing has run yet" in browser.text()


def test_no_page_complains_or_asks_another_host(browser, site, busy):
    for page in PAGES:
        browser.open(site + page)
        if browser.run("document.getElementById('charts') !== null"):
            browser.wait_for("document.querySelectorAll('#charts canvas').length === 2")
    assert browser.complaints == []
    assert browser.hosts == {site.removeprefix("http://")}


def test_a_browser_that_is_refused_something_would_complain(browser, site):
    browser.open(site + OVERVIEW)
    browser.run("document.body.setAttribute('style', 'color: red')")
    assert "Content Security Policy" in browser.complaints[0]


def test_a_run_appears_by_itself(browser, site, busy):
    browser.open(site + OVERVIEW)
    assert "#4711" not in browser.text()
    ran(task_id=4711)
    browser.wait_for_text("#4711")
    assert browser.complaints == []


def test_what_has_not_changed_is_not_drawn_anew(browser, site):
    browser.open(site + QUEUES)
    browser.run(
        "window.answers = [];"
        "document.body.addEventListener('htmx:afterRequest',"
        " (event) => answers.push(event.detail.xhr.status))"
    )
    browser.wait_for("answers.length >= 2")
    assert browser.run("answers.slice(1)")[0] == 304
    assert browser.complaints == []


def test_a_queue_is_paused_and_resumed_by_click(browser, site, busy):
    browser.open(site + QUEUES)
    browser.click('button[aria-label="Pause mail"]')
    browser.wait_for_text("mail is paused")
    assert PausedQueue.objects.get(queue="mail").paused_by == "ada"
    browser.click('button[aria-label="Resume mail"]')
    browser.wait_for_text("mail goes on")
    assert not PausedQueue.objects.filter(queue="mail").exists()
    assert browser.complaints == []


def test_a_worker_that_dies_is_seen_with_its_cause_and_its_stack(browser, site, start_pool):
    start_pool("-c", 1)
    browser.open(site + WORKERS)
    browser.wait_for_text("1 worker, 0 busy")
    lost.read_address_0.delay("a")
    browser.wait_for_text("killed by SIGSEGV, was in lost.py:")
    browser.click(".losses summary")
    browser.wait_for_text("Fatal Python error: Segmentation fault")
    # The stack stays open while the rest is drawn anew.
    browser.run("document.querySelector('#live .card').id = 'before'")
    browser.wait_for("document.getElementById('before') === null")
    assert "Fatal Python error: Segmentation fault" in browser.text()
    assert browser.complaints == []


def test_the_keyboard_reaches_the_content_and_a_button(browser, site, busy):
    browser.open(site + QUEUES)
    browser.press("Tab")
    assert browser.run("document.activeElement.textContent") == "Skip to the content"
    browser.press("Enter")
    assert browser.run("document.activeElement.id") == "content"
    for _ in range(12):
        browser.press("Tab")
        if browser.run("document.activeElement.getAttribute('aria-label')") == "Pause mail":
            break
    browser.press("Enter")
    browser.wait_for_text("mail is paused")


def test_dark_is_chosen_and_kept(browser, site):
    def ground():
        return browser.run("getComputedStyle(document.body).backgroundColor")

    browser.open(site + OVERVIEW)
    light = ground()
    browser.click("#theme")
    dark = ground()
    assert dark != light
    browser.reload()
    assert ground() == dark
    browser.look_like(1280, 820, dark=True)
    browser.click("#theme")
    assert ground() == light
    browser.run("localStorage.clear()")


def test_a_hidden_page_asks_for_nothing(browser, site):
    browser.open(site + QUEUES)
    browser.run(
        "window.asked = 0;"
        "document.body.addEventListener('htmx:configRequest', () => (asked += 1));"
        "Object.defineProperty(document, 'hidden', {get: () => window.away});"
        "window.away = true; document.dispatchEvent(new Event('visibilitychange'))"
    )
    assert "paused" in browser.text()
    with pytest.raises(AssertionError, match="not within"):
        browser.wait_for(
            "performance.getEntriesByType('resource')"
            ".filter(({name}) => name.includes('live=1')).length > 0",
            seconds=5,
        )
    browser.run("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    browser.wait_for(
        "performance.getEntriesByType('resource')"
        ".filter(({name}) => name.includes('live=1')).length > 0"
    )


def test_a_workflow_is_retried_by_keyboard_and_the_page_follows(browser, site, busy):
    browser.open(f"{site}{WORKFLOWS}4712/")
    assert "stands still" in browser.text()
    browser.run("document.getElementById('retry-failed').focus()")
    browser.press("Enter")
    browser.wait_for_text("1 step will run again.")
    assert "goes on" in browser.text()
    # A box of the graph leads to its task.
    browser.run("document.getElementById('node-0').focus()")
    browser.press("Enter")
    browser.wait_for_text("What waits for it")
    assert browser.complaints == []


def test_the_graph_stays_where_it_was_moved_to(browser, site, busy):
    browser.look_like(320, 640, phone=True)
    browser.open(f"{site}{WORKFLOWS}4712/")
    browser.run("document.getElementById('graph-scroll').scrollLeft = 90")
    browser.wait_for("document.getElementById('graph-scroll').scrollLeft === 90")
    browser.run("document.querySelector('#live .card').id = 'before'")
    Task.objects.failed().retry()
    browser.wait_for("document.getElementById('before') === null")
    assert browser.run("document.getElementById('graph-scroll').scrollLeft") == 90
    assert browser.complaints == []
