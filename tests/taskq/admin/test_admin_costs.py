"""What a page or an action of the admin costs: few queries, however many rows there are."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from taskq.models import State, Task, Worker
from taskq.task import payload
from tests.taskq.admin_site import HOUR, LIST, SUMMARY, WORKERS, act, failed, page, text

pytestmark = pytest.mark.django_db


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
    with connection.cursor() as cursor:
        cursor.execute(rows)
        (fetched,) = cursor.fetchall()
    assert max(len(str(value)) for value in fetched) < 5000
