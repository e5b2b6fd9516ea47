"""Workflows in SQLite; postgresql/workflows.py explains the SQL. There is one writer at a time, so
the first RELEASE of two last parts already sees both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from taskq.limits import MAX_SECONDS
from taskq.sql.sqlite.time import NOW, later, later_or_null
from taskq.sql.statements import Rows

_SEND_FLOW = f"""
INSERT INTO taskq_workflow (name, steps, edges, tasks, deadline)
VALUES (%(name)s, %(steps)s, %(edges)s, '[]',
        coalesce(%(deadline)s, {later_or_null("%(within)s")}))
RETURNING id
"""


def _of(column: str) -> str:
    return f"json_extract(value, '$.{column}')"


_DELAY = f"CASE WHEN {_of('blocked')} THEN 0 ELSE {_of('delay')} END"
_SEND_STEPS = f"""
INSERT INTO taskq_task (name, payload, queue, priority, max_losses, execute_at, expires_at,
                        run_after, state, workflow_id, passes, delay)
SELECT {_of("name")}, {_of("payload")}, {_of("queue")}, {_of("priority")}, {_of("max_losses")},
       coalesce({_of("eta")}, {later(_DELAY)}),
       coalesce({_of("expires")}, {later_or_null(_of("lifetime"))}), {_of("eta")},
       CASE WHEN {_of("blocked")} THEN 3 ELSE 0 END, %(workflow)s, {_of("passes")},
       CASE WHEN {_of("blocked")} AND {_of("delay")} > 0 THEN {_of("delay")} END
FROM json_each(%(steps)s) ORDER BY key
RETURNING id
"""
_NOTE_IDS = """
UPDATE taskq_workflow SET tasks = %(ids)s, size = json_array_length(%(ids)s)
WHERE id = %(workflow)s
"""


def _id(column: str) -> str:
    return f"json_extract(%(ids)s, '$[' || {_of(column)} || ']')"


_SEND_EDGES = f"""
INSERT INTO taskq_edge (step_id, place, part_id, waits_for)
SELECT {_id("step")}, {_of("place")}, {_id("part")}, {_of("waits_for")}
FROM json_each(%(edges)s)
"""


def send(rows: Rows, values: Mapping[str, Any]) -> tuple[int | None, list[int]]:
    flow = None if values["workflow"] else rows(_SEND_FLOW, values)[0][0]
    workflow = values["workflow"] or flow
    # RETURNING has the order in which the rows were inserted, which SQLite does not promise.
    found = rows(_SEND_STEPS, {**values, "workflow": workflow})
    ids = sorted(id for (id,) in found)
    numbers = {"ids": json.dumps([*ids, *values["own"]]), "workflow": workflow}
    if flow:
        rows(_NOTE_IDS, numbers)
    rows(_SEND_EDGES, {**values, **numbers})
    return flow, ids


_COMPLETE = """NOT EXISTS (
    SELECT 1 FROM taskq_edge AS edge
    WHERE edge.step_id = taskq_task.id AND NOT (edge.state = 1) AND NOT EXISTS (
        SELECT 1 FROM taskq_edge AS other
        WHERE other.step_id = edge.step_id AND other.place = edge.place AND other.state = 1
    )
)"""


# An infinite delay, written by hand, would be no time.
_LIMITED_DELAY = f"min(max(coalesce(delay, 0), 0), {MAX_SECONDS})"


def _release(steps: str) -> tuple[str, ...]:
    return (
        f"""
        UPDATE taskq_task
        SET state = 0,
            inputs = (
                SELECT json_group_array(json_array(place, value)) FROM (
                    SELECT place, value FROM taskq_edge
                    WHERE step_id = taskq_task.id AND state = 1 ORDER BY place
                )
            ),
            execute_at = max(execute_at, {later(_LIMITED_DELAY)})
        WHERE id IN ({steps}) AND state = 3 AND {_COMPLETE}
        RETURNING id
        """,
        f"""
        DELETE FROM taskq_edge WHERE step_id IN ({steps})
        AND NOT EXISTS (SELECT 1 FROM taskq_task AS step WHERE step.id = step_id AND state = 3)
        """,
    )


RELEASE = _release(
    "SELECT step_id FROM taskq_edge WHERE part_id IN (SELECT value FROM json_each(%(parts)s))"
)
RELEASE_LEFT = _release("SELECT step_id FROM taskq_edge WHERE state = 1")
LEFT = f"""
SELECT id FROM taskq_task
WHERE id IN (SELECT step_id FROM taskq_edge WHERE state = 1 AND step_id > %(after)s)
  AND state = 3 AND {_COMPLETE}
ORDER BY id LIMIT %(limit)s
"""
RELEASE_STEPS = _release("SELECT value FROM json_each(%(steps)s)")

_DETAILS = """json_object(
    'id', part.id, 'name', part.name, 'queue', part.queue, 'payload', part.payload,
    'retries', part.retries, 'error', part.error, 'traceback', part.traceback
)"""


def _settle(parts: str) -> str:
    return f"""
UPDATE taskq_edge
SET state = CASE WHEN waits_for = 2 OR waits_for = 1 AND part.cancelled_at IS NULL
                 THEN 1 ELSE 2 END,
    value = {_DETAILS}
FROM taskq_task AS part
WHERE {parts} AND part.state = 2 AND taskq_edge.part_id = part.id AND taskq_edge.state = 0
  AND (waits_for IN (1, 2) OR part.cancelled_at IS NOT NULL)
"""


SETTLE = _settle("part.id IN (SELECT value FROM json_each(%(parts)s))")
SETTLE_RECENT = _settle(f"part.failed_at > {later('-%(since)s')} AND part.workflow_id IS NOT NULL")

VOID = """
UPDATE taskq_edge
SET state = CASE WHEN waits_for = 2 THEN 1 ELSE 2 END
WHERE part_id IN (SELECT value FROM json_each(%(parts)s)) AND state = 0
  AND NOT EXISTS (SELECT 1 FROM taskq_task AS part WHERE part.id = taskq_edge.part_id)
"""

WALK = """
SELECT step_id, place, part_id,
       CASE WHEN state > 0 THEN 0
            ELSE (SELECT part.state FROM taskq_task AS part WHERE part.id = edge.part_id) END,
       EXISTS (SELECT 1 FROM taskq_task AS step WHERE step.id = edge.step_id)
FROM taskq_edge AS edge
WHERE (step_id, place, part_id) > (%(step)s, %(place)s, %(part)s)
ORDER BY step_id, place, part_id LIMIT %(limit)s
"""
FORGET = "DELETE FROM taskq_edge WHERE step_id IN (SELECT value FROM json_each(%(steps)s))"

WITH_VOIDS = """
SELECT DISTINCT step_id FROM taskq_edge WHERE state = 2 AND step_id > %(after)s
ORDER BY step_id LIMIT %(limit)s
"""
#: Three statements, so the steps are chosen first.
VOIDED = """
SELECT id, name FROM taskq_task AS step
WHERE state = 3 AND id IN (SELECT value FROM json_each(%(steps)s))
  AND EXISTS (
    SELECT 1 FROM taskq_edge AS edge
    WHERE edge.step_id = step.id AND edge.state = 2 AND NOT EXISTS (
        SELECT 1 FROM taskq_edge AS other
        WHERE other.step_id = edge.step_id AND other.place = edge.place AND other.state < 2
    )
  )
"""
LIMIT = None
REMOVE = "DELETE FROM taskq_task WHERE id IN (SELECT value FROM json_each(%(steps)s)) AND state = 3"

OPEN = f"""
SELECT id, EXISTS (SELECT 1 FROM taskq_task AS task WHERE task.workflow_id = flow.id),
       cancelled_at IS NULL AND coalesce(deadline <= {NOW}, 0)
FROM taskq_workflow AS flow WHERE finished_at IS NULL AND id > %(after)s
ORDER BY id LIMIT %(limit)s
"""
FINISH = f"""
UPDATE taskq_workflow SET finished_at = {NOW}
WHERE id IN (SELECT value FROM json_each(%(ids)s)) AND finished_at IS NULL
"""

_THESE = "workflow_id IN (SELECT value FROM json_each(%(ids)s))"
LOCK = f"SELECT id FROM taskq_task WHERE {_THESE}"
CANCEL = (
    f"""
DELETE FROM taskq_edge WHERE step_id IN (
    SELECT id FROM taskq_task WHERE {_THESE} AND state = 3
)
""",
    f"DELETE FROM taskq_task WHERE {_THESE} AND state IN (0, 3)",
    f"""
UPDATE taskq_task SET cancelled_at = coalesce(cancelled_at, {NOW})
WHERE {_THESE} AND state = 1
""",
    f"""
UPDATE taskq_workflow SET cancelled_at = coalesce(cancelled_at, {NOW})
WHERE id IN (SELECT value FROM json_each(%(ids)s))
""",
)

SHAPE = f"""
SELECT (SELECT json_group_array({_of("name")}) FROM json_each(steps)), edges, tasks
FROM taskq_workflow WHERE id = %(id)s
"""

PRUNE = f"""
DELETE FROM taskq_workflow WHERE id IN (
    SELECT id FROM taskq_workflow WHERE finished_at < {later("-%(ttl)s")}
    ORDER BY finished_at LIMIT %(limit)s
)
"""
