"""The admin: what it shows, who may do what there, and what that costs."""

from __future__ import annotations

import datetime
import html
import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from taskq import payload
from taskq.models import ShownState, State, Task, Worker
from tests.project.lab import tasks as lab

pytestmark = pytest.mark.django_db

HOUR = datetime.timedelta(hours=1)
LIST = "/admin/taskq/task/"
WORKERS = "/admin/taskq/worker/"
SUMMARY = "/admin/taskq/task/summary/"


def page(task, verb="change"):
    return f"{LIST}{task.pk}/{verb}/"


def user_with(*permissions):
    """A client of somebody on the staff with these permissions on tasks and workers."""
    user = User.objects.create_user("staff", is_staff=True)
    for permission in permissions:
        user.user_permissions.add(Permission.objects.get(codename=permission))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def root():
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def viewer():
    return user_with("view_task", "view_worker")


@pytest.fixture
def good_worker():
    return Worker.objects.create(
        pool="web-1:4711", name="worker 1", host="web-1", pid=7, lease_expires_at=Now() + HOUR
    )


@pytest.fixture
def dead_worker():
    return Worker.objects.create(
        pool="web-2:4712", name="worker 9", host="web-2", pid=8, lease_expires_at=Now() - HOUR
    )


@pytest.fixture
def each_state(good_worker, dead_worker):
    """A task in each state that a person asks for, of the name of that state."""
    make = Task.objects.create
    return {
        "pending": make(name="is.pending"),
        "future": make(name="is.future", execute_at=Now() + HOUR),
        "active": make(name="is.active", state=State.RUNNING, worker=good_worker, attempt=1),
        "lost": make(name="is.lost", state=State.RUNNING, worker=dead_worker, attempt=1),
        "failed": make(name="is.failed", state=State.FAILED, attempt=1, failed_at=Now()),
        "cancelled": make(
            name="is.cancelled", state=State.FAILED, attempt=1, failed_at=Now(), cancelled_at=Now()
        ),
    }


def failed(name="boom", **fields):
    return Task.objects.create(name=name, state=State.FAILED, attempt=4, failed_at=Now(), **fields)


def running(**fields):
    return Task.objects.create(
        name="runs", state=State.RUNNING, worker_id=1_000_077, attempt=1, **fields
    )


def text(response):
    assert response.status_code == 200
    return response.content.decode()


def listed(client, **query):
    """The ids in the task list."""
    found = re.findall(
        r'field-id"><a href="/admin/taskq/task/(\d+)/', text(client.get(LIST, query))
    )
    return {int(pk) for pk in found}


def act(client, action, *tasks, follow=True, **more):
    data = {"action": action, "_selected_action": [task.pk for task in tasks], **more}
    return client.post(LIST, data, follow=follow)


def said(response):
    return [str(message) for message in response.context["messages"]]


# Looking


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
    assert "#1000077: gone" in text(root.get(page(running())))
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
    assert re.findall(r'class="taskq-(\w+)">([a-z]*)', rows) == [
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


def test_summary_of_nothing(root):
    assert "There are no tasks." in text(root.get(SUMMARY))


# What it costs


@pytest.mark.parametrize(
    "url",
    [
        *(LIST, f"{LIST}?state=active", f"{LIST}?state=lost", f"{LIST}?name=is.failed"),
        *(f"{LIST}?q=is", WORKERS, SUMMARY),
    ],
)
def test_no_page_costs_more_queries_for_more_rows(root, each_state, url):
    def cost():
        with CaptureQueriesContext(connection) as queries:
            text(root.get(url))
        return len(queries)

    root.get(url)  # fills what Django remembers
    few = cost()
    for number in range(20):
        worker = Worker.objects.create(
            pool="p", name=f"w{number}", host="h", pid=1, lease_expires_at=Now() + HOUR
        )
        for state in State:
            Task.objects.create(name=f"is.{number}", state=state, worker=worker, error="x")
    assert cost() == few <= 6


def test_a_page_of_one_costs_a_handful_of_queries(root, good_worker, django_assert_max_num_queries):
    for _ in range(30):
        task = Task.objects.create(name="a", state=State.RUNNING, worker=good_worker)
    with django_assert_max_num_queries(6):
        text(root.get(page(task)))
    with django_assert_max_num_queries(6):
        text(root.get(f"{WORKERS}{good_worker.pk}/change/"))


@pytest.mark.parametrize("action", ["retry_selected", "delete_selected"])
def test_actions_cost_a_handful_of_queries_for_any_number_of_tasks(root, action):
    tasks = [failed() for _ in range(40)]
    with CaptureQueriesContext(connection) as queries:
        act(root, action, *tasks, follow=False, post="yes")
    assert len([q for q in queries if "SAVEPOINT" not in q["sql"]]) <= 12


def test_list_fetches_no_long_text_whole(root):
    failed(payload=payload.encode(["p" * 5000], {}), error="e" * 5000, traceback="t" * 5000)
    with CaptureQueriesContext(connection) as queries:
        text(root.get(LIST))
    (rows,) = [q["sql"] for q in queries if "error_start" in q["sql"]]
    for column in ("payload", "error", "traceback"):
        assert f'"taskq_task"."{column}"' not in rows.replace(f'("taskq_task"."{column}", 1,', "")


# Who may


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


@pytest.mark.parametrize("state", ["pending", "future", "active", "lost"])
def test_retry_button_is_there_only_where_it_does_something(root, each_state, state):
    task = each_state[state]
    assert "/retry/" not in text(root.get(page(task)))
    before = Task.objects.values().get(pk=task.pk)
    response = root.post(page(task, "retry"), follow=True)
    assert Task.objects.values().get(pk=task.pk) == before
    expected = {
        "active": "1 task runs and was left alone.",
        "lost": "1 task runs and was left alone.",
    }.get(state, "Nothing to retry: no such task failed or waits for its next run.")
    assert said(response) == [expected]
    assert not LogEntry.objects.exists()


def test_retry_button_hastens_a_task_that_waits_for_its_next_run(root):
    task = Task.objects.create(name="a", attempt=1, retries=1, execute_at=Now() + HOUR)
    assert "/retry/" in text(root.get(page(task)))
    root.post(page(task, "retry"))
    assert Task.objects.pending().get() == task


def test_retry_of_a_task_that_is_gone_is_not_found(root):
    assert root.post(f"{LIST}4242/retry/").status_code == 404
    assert root.post(f"{LIST}{10**30}/retry/").status_code == 404


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


# Deleting


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


def test_a_task_that_starts_between_the_question_and_the_answer_is_left_alone(root):
    task = failed()
    act(root, "delete_selected", task)
    Task.objects.update(state=State.RUNNING, worker_id=77)
    response = act(root, "delete_selected", task, post="yes")
    assert said(response) == ["0 tasks were deleted.", "1 task runs and was left alone."]
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


def test_every_url_has_a_name_in_the_admin_site(root):
    assert reverse("admin:taskq_task_summary") == SUMMARY
    assert reverse("admin:taskq_task_retry", args=[5]) == f"{LIST}5/retry/"


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
        "2 waiting tasks were removed.",
        "2 tasks run and were asked to end.",
    ]
    assert LogEntry.objects.get().object_repr == "4 tasks"
    assert set(Task.objects.values_list("name", flat=True)) == {
        *("is.active", "is.lost", "is.failed", "is.cancelled")
    }


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


def test_progress_and_headers_are_shown(root, good_worker):
    task = running(
        progress='{"attempt": 1, "done": 5, "total": 20}', payload='[[1],{},{"trace":"<7>"}]'
    )
    task.worker = good_worker
    task.save()
    assert "active</span>, 5 of 20 (25 %)" in text(root.get(LIST))
    shown = text(root.get(page(task)))
    assert "5 of 20 (25 %)" in shown
    assert "trace: &#x27;&lt;7&gt;&#x27;" in shown
    # What an earlier run said is no news of this one.
    Task.objects.update(attempt=2)
    assert "5 of 20" not in text(root.get(page(task)))
