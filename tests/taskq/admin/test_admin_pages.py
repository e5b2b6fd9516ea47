"""What the admin shows of tasks and workers, and how they are found there."""

from __future__ import annotations

import datetime
import html
import re

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from taskq import pausing
from taskq.models import Schedule, ShownState, State, Task, Worker
from taskq.task import payload
from taskq.testing import run_all
from tests.project.lab import tasks as lab
from tests.taskq.admin_site import (
    HOUR,
    LIST,
    SUMMARY,
    WORKERS,
    act,
    failed,
    listed,
    page,
    running,
    text,
)

pytestmark = pytest.mark.django_db


def test_every_page_shows_tasks_of_every_state(root, each_state):
    rows = text(root.get(LIST))
    for state, task in each_state.items():
        assert f'<span class="taskq-{state}">{state}</span>' in rows
        assert f'<span class="taskq-{state}">{state}</span>' in text(root.get(page(task)))
        assert str(task) in text(root.get(page(task, "history")))
    assert {worker.name for worker in Worker.objects.all()} <= set(
        re.findall(r"worker \d", text(root.get(WORKERS)))
    )
    for name in each_state:
        assert f"is.{name}" in text(root.get(SUMMARY))
    assert "/admin/taskq/task/" in text(root.get("/admin/taskq/"))


@pytest.mark.parametrize("state", ShownState.values)
def test_tasks_are_filtered_by_the_states_a_person_asks_for(root, each_state, state):
    assert listed(root, state=state) == {each_state[state].pk}


def test_an_unknown_state_is_refused_rather_than_ignored(root, each_state):
    assert root.get(LIST, {"state": "bogus"}).headers["Location"] == f"{LIST}?e=1"


def test_tasks_of_a_paused_queue_say_so(root, good_worker):
    waits = Task.objects.create(name="a", queue="mail")
    Task.objects.create(name="b", queue="mail", state=State.RUNNING, worker=good_worker)
    assert "paused" not in text(root.get(LIST)).replace("Paused queues", "").replace(
        "pausedqueue", ""
    )
    pausing.pause("mail")
    assert "pending</span>, its queue is paused" in text(root.get(LIST))
    assert text(root.get(LIST)).count("its queue is paused") == 1
    assert "its queue is paused" in text(root.get(page(waits)))


def test_tasks_are_filtered_by_queue_and_by_name(root):
    mail = Task.objects.create(name=lab.quick.name, queue="mail")
    other = Task.objects.create(name=lab.nap.name)
    assert listed(root, queue="mail") == {mail.pk}
    assert listed(root, name=lab.nap.name) == {other.pk}
    assert listed(root, name=lab.nap.name, queue="mail") == set()
    assert listed(root, name="no.such") == set()
    assert root.get(LIST, {"name": "a\0b"}).status_code == 302


def test_filters_offer_registered_names_and_queues_that_are_known_or_wait(root):
    Task.objects.create(name="x", queue="waits-here")
    rows = text(root.get(LIST))
    assert f"?name={lab.quick.name}" in rows
    assert "?queue=default" in rows
    assert "?queue=waits-here" in rows
    assert "?name=x" not in rows
    assert "?queue=asked-for" not in rows
    assert "queue=asked-for" in text(root.get(LIST, {"queue": "asked-for"}))


def test_filters_never_read_the_whole_table_to_make_their_choices(root):
    with CaptureQueriesContext(connection) as queries:
        root.get(LIST)
    assert not [q for q in queries if "DISTINCT" in q["sql"] or "GROUP BY" in q["sql"]]
    # Once for the pages; not again for the number beside a filter.
    assert sum("COUNT(" in q["sql"] and "taskq_task" in q["sql"] for q in queries) == 1


def test_search_finds_a_task_by_id_uuid_and_name(root):
    task, other = failed(name="shop.send_receipt"), failed(name="shop.charge")
    for term in (
        *(task.pk, f"#{task.pk}", f" {task.pk} "),
        *(task.uuid, task.uuid.hex, f"urn:uuid:{task.uuid}", "receipt", "SEND"),
    ):
        assert listed(root, q=str(term)) == {task.pk}, term
    assert listed(root, q="shop") == {task.pk, other.pk}
    for term in ("9" * 18, "9" * 19, "9" * 40, "f" * 32, "²", "nothing"):
        assert listed(root, q=term) == set(), term


def test_list_shows_arguments_as_in_a_call_and_shortened(root):
    long = {"text": "é" * 5000}
    Task.objects.create(name="a", payload=payload.encode([42, datetime.date(2026, 1, 2)], {"x": 1}))
    Task.objects.create(name="b", payload=payload.encode(["<script>"], {}))
    Task.objects.create(name="c", payload=payload.encode([], long))
    Task.objects.create(name="d", payload="not JSON at all")
    rows = text(root.get(LIST))
    assert "42, datetime.date(2026, 1, 2), x=1" in rows
    assert "&lt;script&gt;" in rows
    assert "<script>&#x27;" not in rows
    assert "not JSON at all" in rows
    assert len(html.unescape(re.search(r'">(\[\[\],{.*?)<', rows)[1])) == 80


def test_list_shows_the_first_line_of_the_error(root):
    failed(error="ValueError: the first\nand the second")
    failed(error="x" * 5000)
    rows = text(root.get(LIST))
    assert "ValueError: the first" in rows
    assert "and the second" not in rows
    assert "x" * 81 not in rows


def test_page_shows_arguments_error_and_traceback_whole(root):
    task = failed(
        payload=payload.encode([1], {"to": ["a", "b"]}),
        error="ValueError: <first>\nand the second",
        traceback='Traceback:\n  File "x.py", line 1',
        losses=2,
    )
    shown = text(root.get(page(task)))
    assert '<pre class="taskq-text">1,\nto=[&#x27;a&#x27;, &#x27;b&#x27;]</pre>' in shown
    assert '<pre class="taskq-text">ValueError: &lt;first&gt;\nand the second</pre>' in shown
    assert '<pre class="taskq-text">Traceback:\n  File &quot;x.py&quot;, line 1</pre>' in shown
    assert str(task.uuid) in shown
    assert "2 of 3 allowed" in shown


def test_huge_arguments_are_cut_on_the_page(root):
    task = Task.objects.create(name="a", payload=payload.encode([], {}) + " " * 10 + "x" * 300_000)
    assert len(text(root.get(page(task)))) < 200_000


@pytest.mark.parametrize("stored", ["[" * 200_000, "[[" + "[" * 900 + "]" * 900 + "],{}]", "{}"])
def test_arguments_that_no_worker_could_read_are_shown_as_they_are(root, stored):
    task = Task.objects.create(name="a", payload=stored)
    assert stored[:50] in text(root.get(page(task)))
    assert stored[:50] in text(root.get(LIST))


class Bomb:
    went_off = False

    def __reduce__(self):
        return (setattr, (Bomb, "went_off", True))


def test_pickled_arguments_are_never_unpickled_to_show_them(root, settings):
    settings.TASKQ = {"SERIALIZER": "pickle"}
    stored = payload.encode([Bomb()], {})
    task = failed(payload=stored)
    for response in (root.get(LIST), root.get(page(task)), root.get(page(task, "delete"))):
        assert stored[:20] not in text(response)
    assert "(pickled)" in text(root.get(LIST))
    assert "(pickled)" in text(root.get(page(task)))
    act(root, "delete_selected", task)
    act(root, "retry_selected", task)
    assert not Bomb.went_off
    payload.decode(stored)  # as a worker would
    assert Bomb.went_off


def test_page_shows_the_worker_and_its_lease(root, each_state, good_worker):
    active, lost = text(root.get(page(each_state["active"]))), root.get(page(each_state["lost"]))
    assert f'<a href="{WORKERS}{good_worker.pk}/change/">worker 1 of web-1:4711</a>' in active
    assert re.search(r"lease: (0:59:\d\d|1:00:00) left", active)
    assert re.search(r"lease: expired (1:00:\d\d) ago", text(lost))
    # A worker that is no more: nothing refers to its row.
    orphan = Task.objects.create(name="runs", state=State.RUNNING, worker_id=1_000_078)
    assert "#1000078: gone" in text(root.get(page(orphan)))
    assert "runs" in text(root.get(LIST))


def test_workers_show_their_lease_and_what_they_hold(root, good_worker, dead_worker):
    later = Task.objects.create(
        name="later", state=State.RUNNING, worker=good_worker, execute_at=Now()
    )
    first = Task.objects.create(
        name="first", state=State.RUNNING, worker=good_worker, execute_at=Now() - HOUR
    )
    rows = text(root.get(WORKERS))
    assert f'<a href="{page(first)}">first #{first.pk}</a>' in rows
    assert f"later #{later.pk}" not in rows
    assert re.findall(r'field-holds">(\d+)', rows) == ["2", "0"]
    assert re.findall(r'class="taskq-(active|lost)">([a-z]*)', rows) == [
        ("active", ""),
        ("lost", "expired"),
    ]
    shown = text(root.get(f"{WORKERS}{good_worker.pk}/change/"))
    assert shown.index(f"first #{first.pk}") < shown.index(f"later #{later.pk}")
    assert "first #" not in text(root.get(f"{WORKERS}{dead_worker.pk}/change/"))


def test_summary_counts_each_name_by_state_and_links_to_the_list(root, each_state):
    failed("a&b")
    failed("a&b")
    Task.objects.create(name="a&b")
    with CaptureQueriesContext(connection) as queries:
        shown = text(root.get(SUMMARY))
    assert sum("taskq_task" in q["sql"] for q in queries) == 1
    links = dict(re.findall(r'href="(/admin/taskq/task/\?[^"]*)">(\d+)</a>', shown))
    assert links[f"{LIST}?name=a%26b&amp;state=failed"] == "2"
    assert links[f"{LIST}?name=a%26b&amp;state=pending"] == "1"
    assert links[f"{LIST}?name=a%26b"] == "3"
    assert links[f"{LIST}?state=failed"] == "3"
    assert f"{LIST}?name=a%26b&amp;state=lost" not in links
    assert listed(root, name="a&b", state="failed") == {
        task.pk for task in Task.objects.filter(name="a&b").failed()
    }
    assert f'href="{SUMMARY}"' in text(root.get(LIST))


@pytest.mark.parametrize("kind", ["task", "result", "worker", "schedule"])
def test_lists_have_no_more_columns_than_1400_pixels_have_room_for(root, each_state, kind):
    """Beside the menu and the filters, as Django's admin has them."""
    lab.add.apply_async((1, 2), queue="sums")
    run_all(queues="sums")
    Schedule.objects.create(name="a", task="b", schedule="every 60 s", priority=0, max_losses=3)
    shown = text(root.get(f"/admin/taskq/{kind}/"))
    table = shown.partition('id="result_list"')[2]
    assert 4 < table.count('<th scope="col"') <= 8
    # What could be long may be broken anywhere.
    assert 'class="taskq-line"' in shown or kind in ("worker", "schedule")


def test_a_list_shows_what_was_counted_against_a_task_and_where_it_is(root, good_worker):
    failed(retries=3, losses=1, queue="mail", priority=-10, error="ValueError: <no>")
    Task.objects.create(name="runs", state=State.RUNNING, worker=good_worker, attempt=1)
    shown = text(root.get(LIST))
    assert "3 retries, 1 loss" in shown
    assert "mail, -10" in shown
    assert '<span class="taskq-line taskq-error">ValueError: &lt;no&gt;</span>' in shown
    assert "active</span>, worker 1, web-1" in shown


def test_summary_of_nothing(root):
    assert "There are no tasks." in text(root.get(SUMMARY))


def test_every_url_has_a_name_in_the_admin_site(root):
    assert reverse("admin:taskq_task_summary") == SUMMARY
    assert reverse("admin:taskq_task_retry", args=[5]) == f"{LIST}5/retry/"


def test_progress_and_headers_are_shown(root, good_worker):
    task = running(
        progress='{"attempt": 1, "done": 5, "total": 20}', payload='[[1],{},{"trace":"<7>"}]'
    )
    task.own_state = '{"attempt": 1, "state": "<SORTING>", "meta": null}'
    task.worker = good_worker
    task.save()
    assert "active</span>, &lt;SORTING&gt;, 5 of 20 (25 %)" in text(root.get(LIST))
    shown = text(root.get(page(task)))
    assert "5 of 20 (25 %)" in shown
    assert "trace: &#x27;&lt;7&gt;&#x27;" in shown
    # What an earlier run said is no news of this one.
    Task.objects.update(attempt=2)
    assert "5 of 20" not in text(root.get(page(task)))
