"""The plans of the statements that matter, on tables large enough to matter."""

import json
import re
from operator import attrgetter

import psycopg
import pytest

from taskq.outbox.terms import columns
from taskq.sql import postgresql
from taskq.sql.in_both import WAITING_QUEUES
from taskq.sql.postgresql import claims, enqueue, partitions, pruning, tasks
from taskq.sql.postgresql.prepared import touching
from taskq.task.options import TaskOptions
from tests.taskq.sql.plans import explain, flat, indexes, scans_whole_table

pytestmark = pytest.mark.postgresql


CLAIM = {
    "worker": 1,
    "queue": "q0",
    "priority": 0,
    "from_due": "-infinity",
    "from_id": 0,
    "limit": 10,
    "quick": ["x"],
    "described": ["x"],
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


#: In one test, as the tables are filled for each.
JOINING = [
    *("claims.CLAIM", "claims.CLAIM_FIRST", "claims.LANES"),
    *("tasks.FINISH", "tasks.FINISH_ONE", "tasks.KEEP", "tasks.KEEP_ONE", "tasks.FAIL"),
    *("tasks.ARCHIVE", "tasks.ARCHIVE_ONE"),
    *(
        "tasks.RETRY",
        "tasks.RETRY_CHANGED",
        "tasks.SAY_STATE",
        "tasks.STILL_HELD",
        "tasks.GIVE_BACK",
        "tasks.GIVE_BACK_IF_FREE",
    ),
]


def test_the_plan_that_is_kept_for_all_values_joins_by_index(raw, db_store):
    """On the queue's own connections, which make no other."""
    own = db_store._connection._connection
    if own.info.server_version < 160000:
        pytest.skip("PostgreSQL 15 does not show it")
    for statement in JOINING:
        written = attrgetter(statement)(postgresql)
        text = numbered(written if isinstance(written, str) else written[0])
        ((plan,),) = own.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {text}").fetchall()
        (top,) = json.loads(plan) if isinstance(plan, str) else plan
        kinds = {node["Node Type"] for node in flat(top["Plan"])}
        assert kinds & {"Index Scan", "Index Only Scan"}, statement
        assert not kinds & {"Hash Join", "Merge Join", "Seq Scan", "Bitmap Heap Scan"}, statement


def numbered(statement):
    """Its parameters as the server writes them: $1, $2."""
    names: dict[str, str] = {}
    return re.sub(
        r"%\((\w+)\)s",
        lambda match: names.setdefault(match[1], f"${len(names) + 1}"),
        statement,
    )


def test_claim_of_future_tasks_reads_none_of_them(raw):
    _, pages = explain(raw, claims.CLAIM, {**CLAIM, "priority": 5})
    assert pages < 20


def test_lanes_probe_the_ready_index_once_for_each_lane(raw):
    nodes, pages = explain(raw, claims.LANES, {"queues": None})
    # The table of paused queues may be read as a whole, or by one of its indexes.
    of_tasks = {name for name in indexes(nodes) if not name.startswith("taskq_pausedqueue")}
    assert of_tasks == {"taskq_task_ready"}
    assert not scans_whole_table(nodes, "taskq_task")
    assert nodes[0]["Actual Rows"] == 4
    assert pages < 100
    _, pages = explain(raw, claims.LANES, {"queues": ["q0", "q9"]})
    assert pages < 60


def test_a_look_passes_once_over_the_entries_of_what_is_claimed(raw):
    """Other transactions may still see them, as this one does here: no clean-up takes them out."""
    with raw.transaction(force_rollback=True):
        claimed = raw.execute(
            "UPDATE taskq_task SET state = 1 WHERE state = 0 AND queue = 'q1' AND id <> "
            "(SELECT max(id) FROM taskq_task WHERE state = 0 AND queue = 'q1')"
        ).rowcount
        for queues in (None, ["q1", "q2"]):
            nodes, _ = explain(raw, claims.LANES, {"queues": queues})
            passed = sum(node.get("Heap Fetches", 0) for node in nodes)
            assert claimed <= passed < claimed + 100


def test_a_claim_after_a_sleep_probes_each_lane_once_and_reads_from_one(raw):
    nodes, pages = explain(raw, claims.CLAIM_FIRST, {**CLAIM, "queues": None})
    assert not scans_whole_table(nodes, "taskq_task")
    # By the lane, as a claim after a look; and until the first of each lane.
    (scan,) = [
        node
        for node in nodes
        if node.get("Index Name") == "taskq_task_ready"
        and "execute_at <=" in node.get("Index Cond", "")
    ]
    assert (scan["Actual Rows"], scan["Actual Loops"]) == (10, 1)
    assert pages < 600


FINISHING = ("FINISH", "FINISH_ONE", "LOCK_IF_FREE", "STILL_HELD", "GIVE_BACK", "HOLDS")


def test_finishing_finds_tasks_by_primary_key(raw):
    for statement in FINISHING:
        nodes, pages = explain(raw, getattr(tasks, statement), RUN)
        assert indexes(nodes) == {"taskq_task_pkey"}, statement
        assert pages < 20, statement


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


ENDED = {"error": ["", ""], "traceback": ["", ""], "kind": [None, "E"]}


CHANGED = {
    "payload": ["[[],{}]", None],
    "queue": ["q1", None],
    "priority": [5, None],
    "expires": [None, None],
    "lifetime": [None, 60.0],
}


OUTCOMES = [
    ("RETRY", {"due": [None, None], "delay": [1.0, 1.0], **ENDED}),
    ("RETRY_CHANGED", {"due": [None, None], "delay": [1.0, 1.0], **ENDED, **CHANGED}),
    ("SAY_STATE", {"said": "{}"}),
    ("FAIL", ENDED),
    ("DEFER", {"delay": 1.0}),
    ("KEEP", {"value": ["", ""]}),
    ("KEEP_ONE", {"value": ""}),
    ("ARCHIVE", {"value": ["", None], "lifetime": [1.0, 86400.0]}),
    ("ARCHIVE_ONE", {"value": "", "lifetime": 1.0}),
]


def test_outcomes_find_their_tasks_by_primary_key(raw):
    for statement, more in OUTCOMES:
        written = getattr(tasks, statement)
        text = written if isinstance(written, str) else written[0]
        nodes, _ = explain(raw, text, {**RUN, "ids": [1, 2], **more})
        assert indexes(nodes) - {"taskq_worker_pkey"} == {"taskq_task_pkey"}, statement
        assert not scans_whole_table(nodes, "taskq_task"), statement


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
    nodes, pages = explain(raw, pruning.RESULTS, values)
    assert indexes(nodes) == {"taskq_result_finished", "taskq_result_pkey"}
    assert pages < 100
    raw.execute(
        "INSERT INTO taskq_idempotencykey (name, key, task_id, created_at) "
        "SELECT CASE WHEN id % 2 = 0 THEN '' ELSE 'x' END, id::text, id + id % 3 * 1000000, "
        "now() - id * interval '1 minute' FROM taskq_task"
    )
    raw.execute("ANALYZE taskq_idempotencykey")
    nodes, pages = explain(raw, pruning.KEYS, values)
    assert "taskq_idempotency_created" in indexes(nodes)
    assert not scans_whole_table(nodes, "taskq_task")
    assert not scans_whole_table(nodes, "taskq_result")
    assert pages < 400
    nodes, pages = explain(raw, pruning.FAILED, values)
    assert indexes(nodes) == {"taskq_task_failed", "taskq_task_pkey"}
    assert pages < 200


def test_pruning_of_finished_tasks_reads_the_default_partition_by_day(raw):
    raw.execute(
        "INSERT INTO taskq_finished SELECT id, name, payload, queue, priority, created_at, now(), "
        "NULL, now(), now(), 'w', 1, 0, NULL, NULL, now()::date + (id % 100)::int - 50 "
        "FROM taskq_task"
    )
    raw.execute("ANALYZE taskq_finished_default")
    nodes, pages = explain(raw, pruning.FINISHED, {"limit": 10})
    assert "taskq_finished_expires" in indexes(nodes)
    assert not scans_whole_table(nodes, "taskq_finished_default")
    assert pages < 100
    nodes, pages = explain(raw, partitions.STRAYS, {"day": "2999-01-01", "limit": 10})
    assert indexes(nodes) == {"taskq_finished_expires"}
    assert pages < 10


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
    nodes, pages = explain(raw, WAITING_QUEUES, {"limit": 100})
    assert indexes(nodes) == {"taskq_task_ready"}
    assert not scans_whole_table(nodes, "taskq_task")
    assert nodes[0]["Actual Rows"] == 3
    assert pages < 40


def test_progress_is_written_by_primary_key(raw):
    values = {"worker": 1, "id": 1, "attempt": 1, "progress": "{}"}
    for statement in ("PROGRESS", "PROGRESS_IF_FREE"):
        nodes, pages = explain(raw, getattr(tasks, statement), values)
        assert indexes(nodes) == {"taskq_task_pkey"}, statement
        assert pages < 20, statement
