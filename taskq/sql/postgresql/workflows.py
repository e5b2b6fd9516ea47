"""Workflows in PostgreSQL: how they are sent, and how the steps are released that wait for others.
What postgresql/tasks.py says of time and isolation holds here too.

A step that waits is BLOCKED, and each part that it waits for has an edge to it. The statement that
ends a part marks its edges as done (``tasks.PASS``). RELEASE makes a step ready once each of its
places has an edge that is done.

A statement sees what was committed before it began. Two last parts that end at the same time may
each see the other's edge as open. So RELEASE runs twice for a part: in the transaction of its end,
where nearly all steps are released, and again with the worker's next statement, after that commit.
Of two ends, the later one then sees both. The lock on the step's row makes it once. If the worker
dies between the two, a keeper's RELEASE_LEFT does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskq.sql.postgresql.enqueue import WAKE_ONE
from taskq.sql.postgresql.time import interval
from taskq.sql.statements import Rows

# The rows of a workflow, in one statement: the workflow itself, its steps, their edges. The ids are
# drawn first, as the edges name them. An edge finds an id by its place in an array: joining a long
# list of steps to itself would be a matter of the plan. For the steps that replace a running one,
# "own" is the id of that, as the last of the ids, and the workflow is that one's.
SEND = f"""
WITH step AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('taskq_task', 'id')) AS id, given.*
    FROM (
        SELECT * FROM json_to_recordset(%(steps)s::json) AS given (
            place int, name text, payload text, queue text, priority smallint,
            max_losses smallint, eta timestamptz, delay float8, expires timestamptz,
            lifetime float8, blocked boolean, passes boolean
        ) ORDER BY place
    ) AS given
), number AS MATERIALIZED (
    SELECT array_agg(id ORDER BY place) || %(own)s::bigint[] AS ids FROM step
), flow AS (
    INSERT INTO taskq_workflow (name, steps, edges, tasks, size, deadline)
    SELECT %(name)s, %(steps)s, %(edges)s, array_to_json(ids)::text, cardinality(ids),
           coalesce(%(deadline)s::timestamptz,
                    statement_timestamp() + %(within)s * interval '1 second')
    FROM number WHERE %(workflow)s::bigint IS NULL
    RETURNING id
), task AS (
    INSERT INTO taskq_task (id, name, payload, queue, priority, max_losses, execute_at, expires_at,
                            run_after, state, workflow_id, passes, delay)
    SELECT id, name, payload, queue, priority, max_losses,
           coalesce(eta, statement_timestamp()
                         + CASE WHEN blocked THEN 0 ELSE delay END * interval '1 second'),
           coalesce(expires, statement_timestamp() + lifetime * interval '1 second'), eta,
           CASE WHEN blocked THEN 3 ELSE 0 END,
           coalesce(%(workflow)s::bigint, (SELECT id FROM flow)), passes,
           CASE WHEN blocked AND delay > 0 THEN delay END
    FROM step ORDER BY place
), edge AS (
    INSERT INTO taskq_edge (step_id, place, part_id, waits_for)
    SELECT (SELECT ids FROM number)[edge.step + 1], edge.place,
           (SELECT ids FROM number)[edge.part + 1], edge.waits_for
    FROM json_to_recordset(%(edges)s::json)
         AS edge (part int, step int, place int, waits_for smallint)
), wake AS MATERIALIZED (
    SELECT {WAKE_ONE} AS sent
)
SELECT (SELECT id FROM flow), step.id, wake.sent FROM step CROSS JOIN wake ORDER BY step.place
"""


def send(rows: Rows, values: Mapping[str, Any]) -> tuple[int | None, list[int]]:
    """Write the rows of a workflow. The id of a new workflow, and those of its steps in order."""
    found = rows(SEND, values)
    return found[0][0], [id for _, id, _ in found]


# Whether each place of a step has its input. By taskq_edge_open, whose first entry nearly always
# tells; then by the primary key. "+ 0" keeps the planner from taskq_edge_done, which has all that
# are done, and below from taskq_task_blocked, which has all steps that wait.
_COMPLETE = """NOT EXISTS (
    SELECT FROM taskq_edge AS edge
    WHERE edge.step_id = step.id AND NOT (edge.state = 1) AND NOT EXISTS (
        SELECT FROM taskq_edge AS other
        WHERE other.step_id = edge.step_id AND other.place = edge.place
          AND other.state + 0 = 1
    )
)"""


def _release(steps: str) -> str:
    # Only steps that are complete are locked, and none waits for the lock: its holder releases the
    # step or removes it, or a keeper releases it. It could be a cancel that waits for the part that
    # ends here. The state is looked at again on the locked row, so a step is released
    # once. Its edges go with the release. Another pool is woken for what the caller will not claim
    # itself: for several steps, or for one of a queue that it does not serve.
    return f"""
WITH step AS MATERIALIZED (
    SELECT id FROM taskq_task AS step
    WHERE id = ANY (ARRAY({steps})) AND state + 0 = 3 AND {_COMPLETE}
    ORDER BY id FOR UPDATE SKIP LOCKED
), input AS (
    DELETE FROM taskq_edge AS edge USING step WHERE edge.step_id = step.id
    RETURNING edge.step_id, edge.place, edge.state, edge.value
), given AS (
    SELECT step_id, json_agg(json_build_array(place, value) ORDER BY place)::text AS inputs
    FROM input WHERE state = 1 GROUP BY step_id
), released AS (
    UPDATE taskq_task AS task
    SET state = 0, inputs = given.inputs,
        execute_at = greatest(task.execute_at, clock_timestamp()
                              + {interval("task.delay")})
    FROM given WHERE task.id = given.step_id
    RETURNING task.id, task.queue
), others AS MATERIALIZED (
    SELECT {WAKE_ONE} AS sent FROM released
    HAVING count(*) > 1 OR bool_or(queue <> ALL (%(served)s::text[]))
)
SELECT released.id, (SELECT sent FROM others) FROM released
"""


#: The steps that wait for these parts are found by taskq_edge_part.
RELEASE = (_release("SELECT step_id FROM taskq_edge WHERE part_id = ANY (%(parts)s)"),)


def _steps_with(state: int, after: str = "") -> str:
    """The steps with an edge in this state: a loose index scan of taskq_edge_done or
    taskq_edge_void, with one probe for each step."""
    return f"""WITH RECURSIVE found AS (
    (SELECT step_id FROM taskq_edge WHERE state = {state} {after} ORDER BY step_id LIMIT 1)
    UNION ALL
    SELECT (SELECT min(step_id) FROM taskq_edge WHERE state = {state} AND step_id > found.step_id)
    FROM found WHERE found.step_id IS NOT NULL
)
SELECT step_id FROM found WHERE step_id IS NOT NULL"""


_AFTER = "AND step_id > %(after)s"
RELEASE_LEFT = (_release(_steps_with(1)),)
# The same in two statements, for a database that refuses to release one of them. Locks nothing.
LEFT = f"""
SELECT id FROM taskq_task AS step
WHERE id = ANY (ARRAY({_steps_with(1, _AFTER)})) AND state + 0 = 3 AND {_COMPLETE}
ORDER BY id LIMIT %(limit)s
"""
RELEASE_STEPS = (_release("SELECT unnest(%(steps)s::bigint[])"),)

# What an errback, or another step that goes on after a failure, is told.
_DETAILS = """json_build_object(
    'id', part.id, 'name', part.name, 'queue', part.queue, 'payload', part.payload,
    'retries', part.retries, 'error', part.error, 'traceback', part.traceback
)::text"""


def _settle(parts: str) -> str:
    # By taskq_edge_part and the primary key of the part. A part that failed is told to those that
    # wait for that. What waits for it to be done goes on waiting, as a person may retry it. A part
    # that was cancelled is over: what waits for it to be done or to fail is void. An edge that is
    # locked belongs to a transaction that removes it, or its part: a keeper waits for nobody.
    return f"""
WITH told AS MATERIALIZED (
    SELECT edge.step_id, edge.place, edge.part_id,
           CASE WHEN edge.waits_for = 2 OR edge.waits_for = 1 AND part.cancelled_at IS NULL
                THEN 1 ELSE 2 END AS state,
           {_DETAILS} AS value
    FROM taskq_task AS part JOIN taskq_edge AS edge ON edge.part_id = part.id
    WHERE {parts} AND part.state = 2 AND edge.state = 0
      AND (edge.waits_for IN (1, 2) OR part.cancelled_at IS NOT NULL)
    FOR UPDATE OF edge SKIP LOCKED
)
UPDATE taskq_edge AS edge SET state = told.state, value = told.value
FROM told
WHERE edge.step_id = told.step_id AND edge.place = told.place AND edge.part_id = told.part_id
"""


SETTLE = _settle("part.id = ANY (%(parts)s)")
#: For what failed by the hands of others, such as the loss of its worker: by taskq_task_failed.
SETTLE_RECENT = _settle(
    "part.failed_at > clock_timestamp() - %(since)s * interval '1 second' "
    "AND part.workflow_id IS NOT NULL"
)

# Parts that are gone without an end: they were removed, or dropped as they had expired. What waits
# for their end in any way is void, but for a step that waits for either end.
VOID = """
UPDATE taskq_edge AS edge
SET state = CASE WHEN waits_for = 2 THEN 1 ELSE 2 END
WHERE part_id = ANY (%(parts)s) AND state = 0
  AND NOT EXISTS (SELECT FROM taskq_task AS part WHERE part.id = edge.part_id)
"""

# Some edges from a place of the primary key on. Of each that is open the state of its part, NULL
# for a part that is gone; and whether the step is there. For EXISTS, the server might read all of
# the table into a hash.
WALK = """
SELECT step_id, place, part_id,
       CASE WHEN state > 0 THEN 0
            ELSE (SELECT part.state FROM taskq_task AS part WHERE part.id = edge.part_id) END,
       (SELECT id FROM taskq_task AS step WHERE step.id = edge.step_id) IS NOT NULL
FROM taskq_edge AS edge
WHERE (step_id, place, part_id) > (%(step)s, %(place)s, %(part)s)
ORDER BY step_id, place, part_id LIMIT %(limit)s
"""
#: By the primary key.
FORGET = "DELETE FROM taskq_edge WHERE step_id = ANY (%(steps)s)"

# Some of the steps with a void edge. By taskq_edge_void, which is nearly always empty. A step may
# have very many.
WITH_VOIDS = f"{_steps_with(2, _AFTER)} LIMIT %(limit)s"
# Those of them that can never be released, as all edges of one of their places are void. By their
# primary keys. A locked step is left for the next time. To drop them: FORGET their edges, REMOVE
# them, and VOID what waits for them, in the same transaction.
VOIDED = """
SELECT id, name FROM taskq_task AS step
WHERE state + 0 = 3 AND id = ANY (%(steps)s)
  AND EXISTS (
    SELECT FROM taskq_edge AS edge
    WHERE edge.step_id = step.id AND edge.state = 2 AND NOT EXISTS (
        SELECT FROM taskq_edge AS other
        WHERE other.step_id = edge.step_id AND other.place = edge.place AND other.state < 2
    )
  )
ORDER BY id FOR UPDATE SKIP LOCKED
"""
REMOVE = "DELETE FROM taskq_task WHERE id = ANY (%(steps)s) AND state = 3"

# A keeper has leases to renew: it waits no longer than this for a lock that somebody holds. What is
# not done then is done at a later look.
LIMIT = "SELECT pg_catalog.set_config('lock_timeout', '100ms', true)"

# Some workflows that have not ended, by taskq_workflow_open: whether a step is left, by
# taskq_task_workflow, and whether their deadline is over.
OPEN = """
SELECT id,
       (SELECT true FROM taskq_task AS task WHERE workflow_id = flow.id LIMIT 1) IS NOT NULL,
       cancelled_at IS NULL AND coalesce(deadline <= clock_timestamp(), false)
FROM taskq_workflow AS flow WHERE finished_at IS NULL AND id > %(after)s
ORDER BY id LIMIT %(limit)s
"""
FINISH = """
UPDATE taskq_workflow SET finished_at = clock_timestamp()
WHERE id = ANY (%(ids)s) AND finished_at IS NULL
"""

# To cancel workflows, in this order in one transaction. All rows of the steps are locked first: a
# claim in between would hide one from both of the others.
LOCK = """
SELECT id FROM taskq_task WHERE workflow_id = ANY (%(ids)s) ORDER BY id FOR UPDATE
"""
CANCEL = (
    """
DELETE FROM taskq_edge WHERE step_id = ANY (ARRAY(
    SELECT id FROM taskq_task WHERE workflow_id = ANY (%(ids)s) AND state = 3
))
""",
    "DELETE FROM taskq_task WHERE workflow_id = ANY (%(ids)s) AND state IN (0, 3)",
    """
UPDATE taskq_task SET cancelled_at = coalesce(cancelled_at, clock_timestamp())
WHERE workflow_id = ANY (%(ids)s) AND state = 1
""",
    """
UPDATE taskq_workflow SET cancelled_at = coalesce(cancelled_at, clock_timestamp())
WHERE id = ANY (%(ids)s)
""",
)

# What is drawn of a workflow: the names of its steps alone, as their arguments may be long. By the
# primary key.
SHAPE = """
SELECT (SELECT json_agg(name)::text FROM json_to_recordset(steps::json) AS step (name text)),
       edges, tasks
FROM taskq_workflow WHERE id = %(id)s
"""

PRUNE = """
DELETE FROM taskq_workflow WHERE id = ANY (ARRAY(
    SELECT id FROM taskq_workflow
    WHERE finished_at < statement_timestamp() - %(ttl)s * interval '1 second'
    ORDER BY finished_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
"""
