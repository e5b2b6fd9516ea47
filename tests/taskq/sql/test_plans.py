"""The plans of the statements that matter, on tables large enough to matter."""

import json
import re
from operator import attrgetter

import psycopg
import pytest
from django.contrib import admin
from django.db import connection
from django.test import RequestFactory

from taskq import sql
from taskq.models import Worker
from taskq.outbox.terms import columns
from taskq.sql import postgresql
from taskq.sql.postgresql import claims, enqueue, leases, tasks
from taskq.sql.postgresql.prepared import touching
from taskq.task.options import TaskOptions

pytestmark = pytest.mark.postgresql

#: Waiting tasks of one lane; future ones; failed ones; those another worker holds.
MANY = 20_000


@pytest.fixture
def raw(transactional_db):
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO taskq_task (name, queue, priority, execute_at, state, worker_id)
            SELECT 'x', 'q' || n % 3, 0, now() - interval '1 hour', 0, NULL::bigint
            FROM generate_series(1, %(many)s) n
            UNION ALL
            SELECT 'x', 'q0', 5, now() + interval '1 day', 0, NULL
            FROM generate_series(1, %(many)s)
            UNION ALL
            SELECT 'x', 'q0', 0, now(), 2, NULL FROM generate_series(1, %(many)s)
            UNION ALL
            SELECT 'x', 'q0', 0, now(), 1, 1 + n % 50 FROM generate_series(1, %(many)s) n
            """.replace("n % ", "n %% "),
            {"many": MANY},
        )
        cursor.execute(
            "INSERT INTO taskq_worker (id, pool, name, host, pid, lease_expires_at) "
            "SELECT n, 'p', 'w', 'h', n, now() + interval '1 hour' FROM generate_series(1, 50) n"
        )
        cursor.execute("VACUUM ANALYZE taskq_task, taskq_worker")
    return connection.connection


def explain(raw, statement, values):
    """The plan as executed: the nodes, flat."""
    with raw.transaction(force_rollback=True):
        found = psycopg.Cursor(raw).execute(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement, values
        )
        ((plan,),) = found.fetchall()
    (top,) = json.loads(plan) if isinstance(plan, str) else plan
    pages = top["Plan"]["Shared Hit Blocks"] + top["Plan"]["Shared Read Blocks"]
    return flat(top["Plan"]), pages


def flat(node):
    """A node of a plan and all below it."""
    return [node, *(each for child in node.get("Plans", []) for each in flat(child))]


def indexes(nodes):
    return {node["Index Name"] for node in nodes if "Index Name" in node}


def scans_whole_table(nodes, table):
    return any(
        node["Node Type"] == "Seq Scan" and node.get("Relation Name") == table for node in nodes
    )


CLAIM = {
    "worker": 1,
    "queue": "q0",
    "priority": 0,
    "from_due": "-infinity",
    "from_id": 0,
    "limit": 10,
    "quick": ["x"],
}
RUN = {"worker": 1, "id": 1, "ids": [1], "attempt": 1}


def test_claim_reads_the_ready_index_and_stops_at_its_limit(raw):
    nodes, pages = explain(raw, claims.CLAIM, CLAIM)
    assert "taskq_task_ready" in indexes(nodes)
    assert not scans_whole_table(nodes, "taskq_task")
    (scan,) = [node for node in nodes if node.get("Index Name") == "taskq_task_ready"]
    assert scan["Actual Rows"] <= 10
    assert not any(node["Node Type"] == "Sort" and node["Actual Rows"] > 10 for node in nodes)
    assert pages < 500


@pytest.mark.parametrize(
    "statement",
    [
        "claims.CLAIM",
        "claims.CLAIM_FIRST",
        "claims.LANES",
        "tasks.FINISH",
        "tasks.FINISH_ONE",
        "tasks.FINISH_IF_FREE",
        "tasks.STILL_HELD",
        "tasks.GIVE_BACK",
        "tasks.GIVE_BACK_IF_FREE",
    ],
)
def test_the_plan_that_is_kept_for_all_values_joins_by_index(raw, db_store, statement):
    """On the queue's own connections, which make no other."""
    own = db_store._connection._connection
    if own.info.server_version < 160000:
        pytest.skip("PostgreSQL 15 does not show it")
    names: list[str] = []

    def number(match):
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    text = re.sub(r"%\((\w+)\)s", number, attrgetter(statement)(postgresql))
    ((plan,),) = own.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {text}").fetchall()
    (top,) = json.loads(plan) if isinstance(plan, str) else plan
    kinds = {node["Node Type"] for node in flat(top["Plan"])}
    assert kinds & {"Index Scan", "Index Only Scan"}
    assert not kinds & {"Hash Join", "Merge Join", "Seq Scan", "Bitmap Heap Scan"}


def test_claim_of_future_tasks_reads_none_of_them(raw):
    _, pages = explain(raw, claims.CLAIM, {**CLAIM, "priority": 5})
    assert pages < 20


def test_lanes_probe_the_ready_index_once_for_each_lane(raw):
    nodes, pages = explain(raw, claims.LANES, {"queues": None})
    assert indexes(nodes) == {"taskq_task_ready"}
    assert not scans_whole_table(nodes, "taskq_task")
    assert nodes[0]["Actual Rows"] == 4
    assert pages < 100
    _, pages = explain(raw, claims.LANES, {"queues": ["q0", "q9"]})
    assert pages < 60


def test_a_claim_after_a_sleep_probes_each_lane_once_and_reads_from_one(raw):
    nodes, pages = explain(raw, claims.CLAIM_FIRST, {**CLAIM, "queues": None})
    assert not scans_whole_table(nodes, "taskq_task")
    # By the lane, as a claim after a look; and until the first of each lane.
    (scan,) = [
        node
        for node in nodes
        if node.get("Index Name") == "taskq_task_ready" and "execute_at <=" in node["Index Cond"]
    ]
    assert (scan["Actual Rows"], scan["Actual Loops"]) == (10, 1)
    assert pages < 600


@pytest.mark.parametrize(
    "statement",
    [
        *("FINISH", "FINISH_ONE", "LOCK_IF_FREE", "FINISH_IF_FREE", "STILL_HELD"),
        *("GIVE_BACK", "HOLDS"),
    ],
)
def test_finishing_finds_tasks_by_primary_key(raw, statement):
    nodes, pages = explain(raw, getattr(tasks, statement), RUN)
    assert indexes(nodes) == {"taskq_task_pkey"}
    assert pages < 20


def test_the_last_statement_of_an_atomic_task_too(raw):
    """Not run: it fails where it finds nothing."""
    explained = f"EXPLAIN (FORMAT JSON) {touching(tasks.FINISH_ONE)}"
    ((plan,),) = psycopg.Cursor(raw).execute(explained, RUN).fetchall()
    (top,) = json.loads(plan) if isinstance(plan, str) else plan
    assert indexes(flat(top["Plan"])) == {"taskq_task_pkey"}


def test_finishing_does_so_too_where_the_statistics_know_of_nothing_that_runs(raw):
    with raw.cursor() as cursor:
        cursor.execute("TRUNCATE taskq_task")
        cursor.execute(
            "INSERT INTO taskq_task (id, name) SELECT n, 'x' FROM generate_series(1, 5000) n"
        )
        cursor.execute("ANALYZE taskq_task")
        cursor.execute("UPDATE taskq_task SET state = 1, worker_id = 1, attempt = 1")
    nodes, _ = explain(raw, tasks.FINISH, {**RUN, "ids": list(range(1, 101))})
    assert indexes(nodes) == {"taskq_task_pkey"}


@pytest.mark.parametrize(
    ("statement", "more"),
    [
        ("RETRY", {"when": None, "delay": 1.0, "error": "", "traceback": "", "kind": None}),
        ("RETRY", {"when": None, "delay": 1.0, "error": "", "traceback": "", "kind": "E"}),
        ("FAIL", {"error": "", "traceback": "", "kind": "E"}),
        ("DEFER", {"delay": 1.0}),
        ("KEEP", {"value": ""}),
    ],
)
def test_single_outcomes_find_the_task_by_primary_key(raw, statement, more):
    values = {"worker": 1, "id": 1, "attempt": 1, **more}
    written = getattr(tasks, statement)
    nodes, _ = explain(raw, written if isinstance(written, str) else written[0], values)
    assert indexes(nodes) - {"taskq_worker_pkey"} == {"taskq_task_pkey"}
    assert not scans_whole_table(nodes, "taskq_task")


def test_pruning_starts_at_the_oldest_and_stops_at_its_limit(raw):
    raw.execute(
        "UPDATE taskq_task SET state = 2, failed_at = now() - id * interval '1 minute' "
        "WHERE queue = 'q1'"
    )
    raw.execute(
        "INSERT INTO taskq_result SELECT id, name, payload, queue, priority, created_at, now(), "
        "now() - id * interval '1 minute', '', NULL, '' FROM taskq_task"
    )
    raw.execute("ANALYZE taskq_task, taskq_result")
    values = {"ttl": 3600.0, "limit": 10}
    nodes, pages = explain(raw, tasks.PRUNE_RESULTS, values)
    assert indexes(nodes) == {"taskq_result_finished", "taskq_result_pkey"}
    assert pages < 100
    nodes, pages = explain(raw, tasks.PRUNE_FAILED, values)
    assert indexes(nodes) == {"taskq_task_failed", "taskq_task_pkey"}
    assert pages < 200


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


def test_enqueueing_looks_for_sleepers_by_their_index(raw):
    values = {
        "name": "x",
        "payload": "[[],{}]",
        **columns(TaskOptions()),
    }
    psycopg.Cursor(raw).execute("SET enable_seqscan = off")  # the table is one page here
    nodes, _ = explain(raw, enqueue.ENQUEUE, values)
    assert "taskq_worker_listens" in indexes(nodes)


def test_a_claim_does_not_read_again_what_was_claimed_before(raw, database_url):
    """While anyone's transaction is open, the index entries of claimed tasks stay."""
    with psycopg.connect(database_url) as holder:
        holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT count(*) FROM taskq_task")
        rows = psycopg.Cursor(raw).execute(claims.CLAIM, {**CLAIM, "limit": 5_000}).fetchall()
        rows.sort()
        due, id = rows[-1][-1], rows[-1][1]
        _, from_the_start = explain(raw, claims.CLAIM, CLAIM)
        _, from_there = explain(raw, claims.CLAIM, {**CLAIM, "from_due": due, "from_id": id})
    assert from_there < 200 < from_the_start


def test_queues_that_wait_are_probed_for_in_the_ready_index(raw):
    nodes, pages = explain(raw, sql.WAITING_QUEUES, {"limit": 100})
    assert indexes(nodes) == {"taskq_task_ready"}
    assert not scans_whole_table(nodes, "taskq_task")
    assert nodes[0]["Actual Rows"] == 3
    assert pages < 40


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


@pytest.mark.parametrize("statement", ["PROGRESS", "PROGRESS_IF_FREE"])
def test_progress_is_written_by_primary_key(raw, statement):
    values = {"worker": 1, "id": 1, "attempt": 1, "progress": "{}"}
    nodes, pages = explain(raw, getattr(tasks, statement), values)
    assert indexes(nodes) == {"taskq_task_pkey"}
    assert pages < 20
