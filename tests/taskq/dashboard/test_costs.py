"""What a look costs: few queries, none of which grows with what waits or has failed."""

from __future__ import annotations

import json
import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from taskq.dashboard.remembered import remembered
from taskq.models import SentWorkflow
from tests.taskq.admin_site import text
from tests.taskq.sql.plans import flat, indexes, scans_whole_table

from .site import (
    NAME,
    NAMES,
    OVERVIEW,
    QUEUES,
    RUNS,
    WORKERS,
    WORKFLOWS,
    ran,
    rolled_up,
    words,
)

#: Each page, and how many queries one look of all who look costs. Who looks is asked besides.
PAGES = {
    OVERVIEW: 4,
    f"{OVERVIEW}?over=day": 4,
    f"{OVERVIEW}?over=month": 4,
    QUEUES: 4,
    NAMES: 1,
    f"{NAME}?name=shop.pay": 3,
    WORKERS: 3,
    RUNS: 1,
    WORKFLOWS: 3,
}
#: Pages that are no look of all: each costs what it shows.
OTHERS = [f"{OVERVIEW}{page}" for page in ("failures/", "schedules/", "search/?q=shop.pay")]
#: Waiting and failed tasks: enough that reading them all is the wrong plan.
MANY, FAILED = 20_000, 4_000
#: Seconds that no query may take, and that no page may, with a million rows.
QUERY, PAGE = 0.050, 0.300

FILL = """
INSERT INTO taskq_task (name, queue, priority, execute_at)
SELECT 'shop.pay', 'queue ' || mod(number, %(queues)s), mod(number, 3),
       now() + make_interval(secs => CASE WHEN mod(number, 10) = 0 THEN 1e6 ELSE -number END)
FROM generate_series(1, %(waiting)s) AS number
"""
FAIL = """
INSERT INTO taskq_task (name, queue, state, attempt, failed_at, error, traceback)
SELECT 'shop.pay', 'queue 1', 2, 4, now() - make_interval(secs => number), 'ValueError: no',
       repeat('Traceback', 20)
FROM generate_series(1, %(failed)s) AS number
"""
# Workflows of ten steps. Each second one has a failed step, and of these each second goes on all
# the same: a step is ready.
FLOWS = """
INSERT INTO taskq_workflow (name, steps, edges, tasks, size)
SELECT 'report', '[]', '[]', '[]', 10 FROM generate_series(1, %(flows)s)
"""
STEPS = """
INSERT INTO taskq_task (name, queue, state, workflow_id, failed_at)
SELECT 'shop.pay', 'queue 1',
       CASE WHEN mod(flow.id, 2) = 0 AND step = 1 THEN 2
            WHEN mod(flow.id, 4) > 0 AND step = 2 THEN 0 ELSE 3 END,
       flow.id, CASE WHEN mod(flow.id, 2) = 0 AND step = 1 THEN now() END
FROM taskq_workflow AS flow CROSS JOIN generate_series(1, 10) AS step
"""


def fill(waiting, failed, queues):
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"waiting": waiting, "queues": queues})
        cursor.execute(FAIL, {"failed": failed})
        cursor.execute(FLOWS, {"flows": failed // 2})
        cursor.execute(STEPS)
        cursor.execute("ANALYZE taskq_task")
        cursor.execute("ANALYZE taskq_workflow")
    for minutes in range(60):
        rolled_up(done=10, minutes=minutes)
    for task_id in range(100):
        ran(task_id=task_id)


def queries_of(client, page):
    """What the page sends when nothing is remembered, without who looks."""
    remembered.forget()
    with CaptureQueriesContext(connection) as sent:
        text(client.get(page))
    return [query["sql"] for query in sent if "taskq_" in query["sql"]]


def explained(sql):
    """The nodes of the plan, and the seconds that it took."""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql.replace("%", "%%"), ())
        ((plan,),) = cursor.fetchall()
    (top,) = json.loads(plan) if isinstance(plan, str) else plan
    return flat(top["Plan"]), (top["Planning Time"] + top["Execution Time"]) / 1000


@pytest.mark.django_db
@pytest.mark.parametrize("page", PAGES)
def test_a_look_costs_fewer_than_five_queries(root, page):
    rolled_up(done=10)
    assert len(queries_of(root, page)) == PAGES[page] < 5


@pytest.mark.django_db
@pytest.mark.parametrize("page", PAGES)
def test_the_looks_of_others_cost_none(root, page, django_assert_num_queries):
    query = "&live=1" if "?" in page else "?live=1"
    root.get(page + query)
    with django_assert_num_queries(2):  # the session and the user
        root.get(page + query)


@pytest.mark.postgresql
@pytest.mark.django_db
@pytest.mark.parametrize("queues", [1, 5, 60])
def test_no_query_reads_the_table_of_tasks(root, good_worker, queues):
    fill(MANY, FAILED, queues)
    used = set()
    for page in [*PAGES, *OTHERS]:
        for sql in queries_of(root, page):
            nodes, _seconds = explained(sql)
            assert not scans_whole_table(nodes, "taskq_task"), sql
            used |= indexes(nodes)
    assert {"taskq_task_ready", "taskq_task_running", "taskq_task_workflow"} <= used
    assert "taskq_task_step_failed" in used


@pytest.mark.postgresql
@pytest.mark.django_db
def test_the_page_of_a_workflow_reads_its_own_steps(root):
    fill(MANY, FAILED, 5)
    flow = SentWorkflow.objects.latest("pk")
    for sql in queries_of(root, f"{WORKFLOWS}{flow.pk}/"):
        nodes, _seconds = explained(sql)
        assert not scans_whole_table(nodes, "taskq_task"), sql
        assert sum(node["Actual Rows"] * node["Actual Loops"] for node in nodes) < 100, sql


@pytest.mark.postgresql
@pytest.mark.django_db
@pytest.mark.parametrize(("queues", "lanes", "bound"), [(1, 3, 1000), (7, 21, 100)])
def test_what_waits_is_counted_up_to_a_bound(root, good_worker, queues, lanes, bound):
    fill(MANY, FAILED, queues)
    (sql,) = [sql for sql in queries_of(root, QUEUES) if "waiting" in sql]
    nodes, _seconds = explained(sql)
    read = sum(
        node["Actual Rows"] * node["Actual Loops"]
        for node in nodes
        if node.get("Index Name") == "taskq_task_ready"
    )
    assert read <= lanes * 2 * (bound + 1) + 5 * lanes
    assert f"queue 0 {3 * bound:,}+ " in words(root.get(QUEUES))


@pytest.mark.slow
@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)  # rows that were rolled back would be in the way
@pytest.mark.parametrize("queues", [1, 5, 60])
def test_a_million_waiting_tasks_and_many_failed_ones(root, good_worker, queues):
    fill(1_000_000, 200_000, queues)
    for page in [*PAGES, *OTHERS]:
        for sql in queries_of(root, page):
            nodes, seconds = min((explained(sql) for _ in range(3)), key=lambda found: found[1])
            assert not scans_whole_table(nodes, "taskq_task"), sql
            assert seconds < QUERY, (seconds, sql)
        assert min(seconds_of(root, page) for _ in range(3)) < PAGE, page


def seconds_of(client, page):
    remembered.forget()
    started = time.perf_counter()
    text(client.get(page))
    return time.perf_counter() - started
