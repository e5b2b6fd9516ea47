"""The plans of the statements about workflows: what they read does not grow with the workflow."""

from __future__ import annotations

import json

import psycopg
import pytest

from taskq.sql.postgresql import replacing, tasks, workflows
from tests.taskq.sql.plans import MANY, explain, indexes, scans_whole_table

pytestmark = pytest.mark.postgresql

#: The ids of a step with many parts, and of those parts: far above what other tests have used up.
STEP = 2_000_000_000_000
FIRST = STEP + 1
#: The chains, and their parts.
CHAINS = 3_000_000_000_000
LINKS = 4_000_000_000_000


@pytest.fixture
def many_parts(raw):
    """A step that waits for 20,000 parts, of which all but 100 are done; and 20,000 chains."""
    cursor = psycopg.Cursor(raw)
    cursor.execute(
        "INSERT INTO taskq_workflow (id, steps, edges, tasks) VALUES (1, '[]', '[]', '[]')"
    )
    cursor.execute(
        "INSERT INTO taskq_task (id, name, state, workflow_id) VALUES (%s, 'body', 3, 1)", [STEP]
    )
    cursor.execute(
        "INSERT INTO taskq_task (id, name, state, workflow_id, worker_id, attempt) "
        "SELECT id, 'part', 1, 1, 7, 1 FROM generate_series(%s::bigint, %s::bigint) AS id",
        [FIRST + MANY - 100, FIRST + MANY - 1],
    )
    cursor.execute(
        "INSERT INTO taskq_edge (step_id, place, part_id, state) "
        "SELECT %s, place, %s + place, CASE WHEN place < %s THEN 1 ELSE 0 END "
        "FROM generate_series(0, %s) AS place",
        [STEP, FIRST, MANY - 100, MANY - 1],
    )
    cursor.execute(
        "INSERT INTO taskq_edge (step_id, place, part_id) "
        "SELECT %s + n, 0, %s + n FROM generate_series(1, %s) AS n",
        [CHAINS, LINKS, MANY],
    )
    cursor.execute("ANALYZE taskq_edge")
    return raw


def reads(raw, statement, values):
    nodes, pages = explain(raw, statement, values)
    for table in ("taskq_task", "taskq_edge", "taskq_workflow"):
        assert not scans_whole_table(nodes, table)
    return indexes(nodes), pages


@pytest.mark.parametrize("how", ["PASS", "PASS_SOME", "FAIL_UNHEARD"])
def test_the_end_of_a_part_reads_its_own_edges(many_parts, how):
    ids = list(range(FIRST + MANY - 100, FIRST + MANY - 90))
    (statement,) = getattr(tasks, how)
    values = {"worker": 7, "attempt": 1, "ids": ids, "drops": [8] * len(ids)}
    values |= dict.fromkeys(("passed", "value", "lifetime", "kind"), [None] * len(ids))
    values |= dict.fromkeys(("error", "traceback"), [""] * len(ids))
    used, pages = reads(many_parts, statement, values)
    assert "taskq_edge_part" in used
    assert pages < 1000


def test_ends_lock_their_rows_by_the_primary_key(many_parts):
    ids = list(range(FIRST + MANY - 100, FIRST + MANY - 50))
    used, pages = reads(many_parts, tasks.LOCK_IN_ORDER, {"ids": ids})
    assert used == {"taskq_task_pkey"}
    assert pages < 500


def test_a_release_looks_at_one_open_edge_of_a_step(many_parts):
    (statement,) = workflows.RELEASE
    used, pages = reads(many_parts, statement, {"parts": [FIRST + MANY - 1], "served": None})
    assert {"taskq_edge_part", "taskq_edge_open"} <= used
    assert pages < 50


def test_what_was_left_is_found_by_a_probe_for_each_step(many_parts):
    (statement,) = workflows.RELEASE_LEFT
    used, pages = reads(many_parts, statement, {"served": []})
    assert {"taskq_edge_done", "taskq_edge_open"} <= used
    assert pages < 100


def test_a_look_for_voided_steps_reads_nothing_else(many_parts):
    used, pages = reads(many_parts, workflows.WITH_VOIDS, {"after": 0, "limit": 1000})
    assert used == {"taskq_edge_void"}
    assert pages < 20
    used, pages = reads(many_parts, workflows.VOIDED, {"steps": [STEP]})
    assert used <= {"taskq_task_pkey", "taskq_edge_void", "taskq_edge_pkey"}
    assert pages < 50


def test_steps_with_many_void_edges_are_found_by_a_probe_for_each(many_parts):
    cursor = psycopg.Cursor(many_parts)
    cursor.execute("UPDATE taskq_edge SET state = 2 WHERE step_id = %s AND state = 1", [STEP])
    used, pages = reads(many_parts, workflows.WITH_VOIDS, {"after": 0, "limit": 1000})
    assert used == {"taskq_edge_void"}
    assert pages < 50


def test_steps_that_are_released_by_themselves_are_found_by_their_edges(many_parts):
    used, pages = reads(many_parts, workflows.LEFT, {"after": 0, "limit": 1000})
    assert {"taskq_edge_done", "taskq_edge_open", "taskq_task_pkey"} <= used
    assert pages < 100
    (statement,) = workflows.RELEASE_STEPS
    used, pages = reads(many_parts, statement, {"steps": [STEP], "served": []})
    assert {"taskq_task_pkey", "taskq_edge_open"} <= used
    assert pages < 100


def test_settling_reads_the_parts(many_parts):
    used, pages = reads(many_parts, workflows.SETTLE, {"parts": [FIRST + MANY - 1]})
    assert used <= {"taskq_task_pkey", "taskq_edge_part"}
    assert pages < 50
    used, pages = reads(many_parts, workflows.VOID, {"parts": [FIRST + MANY - 1]})
    assert used <= {"taskq_task_pkey", "taskq_edge_part"}
    assert pages < 50


def test_the_open_workflows_are_few(many_parts):
    used, pages = reads(many_parts, workflows.OPEN, {"after": 0, "limit": 1000})
    assert used == {"taskq_workflow_open", "taskq_task_workflow"}
    assert pages < 50


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (replacing.HEAR, {"id": LINKS + 1, "parts": [1, 2]}),
        (replacing.ADD_PART, {"part": 1, "beside": LINKS + 1}),
    ],
)
def test_what_hears_of_another_part_is_read_by_the_edges_of_the_first(
    many_parts, statement, values
):
    used, pages = reads(many_parts, statement, values)
    assert used == {"taskq_edge_part"}
    assert pages < 50


def test_a_walk_reads_as_much_as_it_is_told(many_parts):
    values = {"step": -1, "place": -1, "part": -1, "limit": 100}
    used, pages = reads(many_parts, workflows.WALK, values)
    assert "taskq_edge_pkey" in used
    assert pages < 1500


def test_a_workflow_is_sent_by_one_statement(raw):
    count = 2000
    step = {"name": "part", "payload": "[[],{}]", "queue": "default", "priority": 0}
    step |= {"max_losses": 3, "eta": None, "delay": 0, "expires": None, "lifetime": None}
    step |= {"blocked": False, "passes": True}
    steps = [{"place": place, **step} for place in range(count)]
    edges = [
        {"part": place, "step": count - 1, "place": place, "waits_for": 0}
        for place in range(count - 1)
    ]
    values = {"name": "", "steps": json.dumps(steps), "edges": json.dumps(edges), "own": []}
    nodes, _ = explain(
        raw, workflows.SEND, {**values, "workflow": None, "deadline": None, "within": None}
    )
    # No join of the steps with the edges: that would take the square of their number.
    assert not any(node["Node Type"] in ("Hash Join", "Merge Join") for node in nodes)
    loops = [node["Actual Loops"] for node in nodes if node["Node Type"] == "CTE Scan"]
    assert max(loops) < 10
