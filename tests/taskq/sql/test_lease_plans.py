"""The plans of the statements about leases, and about what a worker holds."""

import json

import psycopg
import pytest
from django.contrib import admin
from django.db import connection
from django.test import RequestFactory

from taskq.models import Worker
from taskq.sql.postgresql import leases, tasks
from tests.taskq.sql.plans import MANY, explain, indexes, scans_whole_table

pytestmark = pytest.mark.postgresql


def test_taking_back_reads_only_what_the_worker_holds(raw):
    values = {"worker": 7, "blamed": 0, "suspect": False, "charge": 1, "cause": ""}
    values["leave"] = [1, 2]
    nodes, _ = explain(raw, leases.RECLAIM, values)
    assert "taskq_task_running" in indexes(nodes)
    assert not scans_whole_table(nodes, "taskq_task")
    for held in (leases.HELD, tasks.HELD_BY):
        nodes, _ = explain(raw, held, {"worker": 7})
        assert indexes(nodes) == {"taskq_task_running"}


def test_the_look_for_missing_workers_probes_once_for_each_that_holds_anything(raw):
    """20,000 tasks, held by 50 workers, of which three are in no table; and two held by nobody."""
    cursor = psycopg.Cursor(raw)
    cursor.execute("DELETE FROM taskq_worker WHERE id IN (7, 21, 50)")
    values = {"lease": 30.0}
    nodes, pages = explain(raw, leases.RESTORE_WORKERS, values)
    assert "taskq_task_running" in indexes(nodes)
    assert not scans_whole_table(nodes, "taskq_task")
    assert pages < 500
    cursor.execute("INSERT INTO taskq_task (name, state) SELECT 'x', 1 FROM generate_series(1, 2)")
    nodes, pages = explain(raw, leases.NAME_HOLDER, {"worker": 77})
    assert indexes(nodes) == {"taskq_task_running", "taskq_task_pkey"}
    assert pages < 100
    with raw.transaction(force_rollback=True):
        put_back = cursor.execute(leases.RESTORE_WORKERS, values).fetchall()
    assert put_back == [(7,), (21,), (50,)]


def test_a_heartbeat_touches_no_task(raw):
    nodes, _ = explain(raw, leases.RENEW, {"workers": [1, 2, 3], "lease": 30.0})
    assert {node["Relation Name"] for node in nodes if "Relation Name" in node} == {"taskq_worker"}


def test_a_heartbeat_changes_no_index(raw):
    """Renewals are HOT updates: only the table's own pages change."""

    def hot():
        cursor = psycopg.Cursor(raw)
        cursor.execute("SELECT pg_stat_force_next_flush()")
        return cursor.execute(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables "
            "WHERE relname = 'taskq_worker'"
        ).fetchone()

    # Room on the page: the table's fill factor leaves it.
    before = hot()
    for _ in range(20):
        psycopg.Cursor(raw).execute(leases.RENEW, {"workers": [1, 2, 3], "lease": 30.0})
    after = hot()
    updates, hot_updates = after[0] - before[0], after[1] - before[1]
    assert updates == 60
    assert hot_updates >= 55


def test_the_admin_probes_for_what_each_worker_holds(raw):
    workers = admin.site.get_model_admin(Worker).get_queryset(RequestFactory().get("/"))
    statement, values = workers.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", values)
        plan = json.dumps(cursor.fetchone()[0])
    assert "taskq_task_running" in plan
    assert '"Relation Name": "taskq_task"' in plan
    assert '"Seq Scan", "Parent Relationship": "SubPlan"' not in plan


def test_the_runs_of_a_pool_are_looked_up_by_primary_key(raw):
    nodes, _ = explain(raw, tasks.HELD_RUNS, {"ids": [60_001, 60_002, 1]})
    assert indexes(nodes) == {"taskq_task_pkey"}


def test_cancelled_runs_are_found_in_an_index_of_their_own(raw):
    raw.execute("UPDATE taskq_task SET cancelled_at = now() WHERE state = 1 AND id % 1000 = 0")
    raw.execute("VACUUM ANALYZE taskq_task") if raw.autocommit else None
    nodes, pages = explain(raw, tasks.CANCELLED_RUNS, {"workers": list(range(1, 51))})
    assert indexes(nodes) == {"taskq_task_cancelled"}
    assert nodes[0]["Actual Rows"] == MANY // 1000
    assert pages < 100


def test_the_look_for_another_pool_that_listens_reads_next_to_nothing(raw):
    _, pages = explain(raw, leases.ANOTHER_LISTENS, {"pool": "p"})
    assert pages < 10
