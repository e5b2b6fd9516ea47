"""What it costs to say why a task waits: nothing that grows with what waits before it."""

from __future__ import annotations

import json
import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from taskq.models import Task
from taskq.sql.backlog import BEFORE
from taskq.why import Code, why
from tests.taskq.sql.plans import explain, flat, indexes, scans_whole_table

pytestmark = pytest.mark.postgresql

#: The tables that grow with the work.
LARGE = ("taskq_task", "taskq_result", "taskq_recentrun")


def last_in_line():
    return Task.objects.filter(state=0, queue="q0", priority=0).latest("id").pk


def test_the_count_of_what_is_before_stops_at_its_limit(raw):
    values = {"id": last_in_line(), "lanes": json.dumps([("q0", 0), ("q1", 0)]), "limit": 100}
    nodes, pages = explain(raw, BEFORE["postgresql"], values)
    assert indexes(nodes) == {"taskq_task_pkey", "taskq_task_ready"}
    assert not scans_whole_table(nodes, "taskq_task")
    (scan,) = [node for node in nodes if node.get("Index Name") == "taskq_task_ready"]
    assert scan["Actual Rows"] <= 100
    assert pages < 100


def test_no_query_reads_a_large_table_from_end_to_end(raw):
    raw.execute("UPDATE taskq_worker SET name = 'worker ' || id")
    one = last_in_line()
    failed = Task.objects.filter(state=2).latest("id").pk
    held = Task.objects.filter(state=1).latest("id").pk
    Task.objects.filter(pk__in=[one, failed]).update(unique_key="k", unique_place=0)
    asked = []
    for id in (one, failed, held, 10**9):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert why(id)
        asked += [query["sql"] for query in queries]
    assert len(asked) < 25
    for statement in asked:
        if statement.startswith(("SAVEPOINT", "RELEASE", "BEGIN", "ROLLBACK", "COMMIT")):
            continue
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}")
            ((plan,),) = cursor.fetchall()
        (top,) = json.loads(plan) if isinstance(plan, str) else plan
        for table in LARGE:
            assert not scans_whole_table(flat(top["Plan"]), table), statement


def test_the_answer_is_as_quick_with_a_backlog(raw):
    """Some 20,000 tasks wait, in four lanes."""
    raw.execute("UPDATE taskq_worker SET name = 'worker ' || id")
    one = last_in_line()

    def asked():
        began = time.perf_counter()
        reasons = why(one)
        assert [reason.code for reason in reasons] == [Code.BEHIND, Code.WORKERS_BUSY]
        return time.perf_counter() - began

    assert min(asked() for _ in range(5)) < 0.3
