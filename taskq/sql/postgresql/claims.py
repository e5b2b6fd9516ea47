"""The lanes and the claim in PostgreSQL. What postgresql/tasks.py says of time and isolation holds
here too."""

from __future__ import annotations


def _first(of: str, order: str) -> str:
    """The first waiting task of some lanes."""
    return f"""(
        SELECT queue, priority, execute_at, id FROM taskq_task WHERE state = 0 AND {of}
        ORDER BY {order}priority DESC, execute_at, id LIMIT 1
    )"""


_PAUSED = "EXISTS (SELECT FROM taskq_pausedqueue AS paused WHERE paused.queue = first.queue)"

# The first task of each lane, as CTEs of the statements below: a loose index scan of
# taskq_task_ready. One probe finds the first lane of all, and one more each the next lane of its
# queue, or of the next queue, however many tasks wait behind their heads. A paused queue costs one
# probe of its own key, and its other lanes none. No entry of the index is passed twice: while any
# transaction is open, the index keeps the entries of all tasks that were claimed since.
_LANES = f"""
RECURSIVE lane (queue, priority, execute_at, id, paused) AS (
    SELECT first.*, {_PAUSED}
    FROM unnest(coalesce(%(queues)s::text[], ARRAY[NULL])) AS served (queue)
    CROSS JOIN LATERAL (
        {_first("queue = served.queue", "")}
        UNION ALL
        {_first("served.queue IS NULL", "queue, ")}
    ) AS first
    UNION ALL
    SELECT first.*, {_PAUSED}
    FROM lane
    CROSS JOIN LATERAL (
        {_first("queue = lane.queue AND priority < lane.priority AND NOT lane.paused", "")}
        UNION ALL
        {_first("queue > lane.queue AND %(queues)s::text[] IS NULL", "queue, ")}
        LIMIT 1
    ) AS first
), head AS (
    SELECT queue, priority, execute_at, id FROM lane WHERE NOT paused
)
"""
_MOST_URGENT_FIRST = "ORDER BY priority DESC, execute_at, id"

# Reads only: the heads may be gone when the claim comes. The wait is computed from two numbers.
# Before PostgreSQL 17 no interval holds the wait until 'infinity', which somebody may have written
# to park a task.
LANES = f"""
WITH {_LANES}
SELECT queue, priority,
       extract(epoch FROM execute_at)::float8
       - extract(epoch FROM statement_timestamp())::float8 AS wait,
       execute_at::text AS due, id
FROM head {_MOST_URGENT_FIRST}
"""


#: What the front door of some tasks tells of a run, as Claimed has it. NULL for all others, which
#: costs next to nothing.
_DESCRIPTION = ", ".join(
    f"CASE WHEN taken.described THEN {column} END"
    for column in (
        "task.priority",
        "task.created_at::text",
        "task.run_after::text",
        "(SELECT statement_timestamp()::text)",  # made once for all rows
        "task.history",
    )
)


#: What a step of a workflow is run with; NULL for all other tasks.
_STEP = """CASE WHEN task.workflow_id IS NOT NULL
    THEN json_build_array(task.workflow_id, task.passes, task.inputs)::text END"""


# The worker's row is locked first (FOR KEY SHARE, as a foreign key would do). While a claim is in
# flight, nobody can retire its worker, and a retired worker claims nothing. The lock does not
# conflict with renewals, which change no key.
#
# The tasks are read in order from taskq_task_ready and locked as they are found. Tasks that others
# have locked are skipped without waiting. The scan starts where the last claim ended: while any
# transaction is open, the index keeps the entries of claimed tasks, and reading them again each
# time would take longer and longer.
#
# A unique key that is released on start is released here. Whatever happens to this claim, the task
# goes back without the key, so it cannot conflict with a task that has taken the key meanwhile. The
# key of an expired task is released too, because no call may join such a task any more.
#
# No value in a row can make the claim fail: that would block all tasks behind it. So the attempt
# starts again after the largest number, and times are read as text or as numbers.
def _claim(there: str, lanes: str = "", more: str = "") -> str:
    """there: which of the due tasks. lanes: CTEs for it. more: further columns at the end."""
    return f"""
WITH {lanes} alive AS MATERIALIZED (
    SELECT id FROM taskq_worker
    WHERE id = %(worker)s AND lease_expires_at > clock_timestamp()
    FOR KEY SHARE
), due AS MATERIALIZED (
    SELECT id, execute_at,
           (name = ANY (%(quick)s) AND NOT isolated AND max_losses > 0) AS quick,
           name = ANY (%(described)s) AS described
    FROM taskq_task
    WHERE state = 0 AND execute_at <= statement_timestamp() AND EXISTS (SELECT FROM alive)
      AND {there}
    ORDER BY execute_at, id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), taken AS (
    SELECT id, row_number() OVER sequence AS place, bool_and(quick) OVER sequence AS quick,
           described
    FROM due WINDOW sequence AS (ORDER BY execute_at, id)
)
UPDATE taskq_task AS task
SET state = 1, worker_id = %(worker)s, attempt = mod(task.attempt, 2147483647) + 1,
    started_at = statement_timestamp(),
    unique_key = CASE WHEN task.unique_until = 'finish'
                       AND coalesce(task.expires_at > statement_timestamp(), true)
                      THEN task.unique_key END
FROM taken
WHERE task.id = taken.id AND (taken.place = 1 OR taken.quick)
RETURNING taken.place, task.id, task.attempt, task.name, task.payload, task.queue,
          task.retries, task.losses, task.isolated OR task.max_losses <= 0,
          coalesce(task.expires_at <= statement_timestamp(), false),
          extract(epoch FROM statement_timestamp())::float8
          - extract(epoch FROM task.unknown_since)::float8,
          (SELECT date_part('epoch', statement_timestamp()))
          - date_part('epoch', task.execute_at),
          task.scheduled_at::text, {_DESCRIPTION}, {_STEP},
          CASE WHEN taken.place = %(limit)s THEN task.execute_at::text END
          {more}
"""


CLAIM = _claim(
    there="""queue = %(queue)s AND priority = %(priority)s
      AND (execute_at, id) >= (%(from_due)s::timestamptz, %(from_id)s)""",
)

# From the most urgent lane. A separate look at the lanes would be one more round trip. The lane
# is found once, before any task is read.
CLAIM_FIRST = _claim(
    lanes=f"""{_LANES}, most_urgent AS MATERIALIZED (
    SELECT queue, priority, count(*) OVER () AS lanes_due FROM head
    WHERE execute_at <= statement_timestamp() {_MOST_URGENT_FIRST} LIMIT 1
),""",
    there="""queue = (SELECT queue FROM most_urgent)
      AND priority = (SELECT priority FROM most_urgent)""",
    more=", task.priority, (SELECT lanes_due FROM most_urgent)",
)
