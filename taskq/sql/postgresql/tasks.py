"""The tasks in PostgreSQL: what a worker claims, runs and finishes, and what is pruned.

All statements run in READ COMMITTED, most of them alone in autocommit. Times are the database's:
``statement_timestamp()`` where an index must be able to use it (it is stable), and
``clock_timestamp()`` for lease ends, which must not depend on when a transaction began.
"""

from __future__ import annotations

from taskq.sql import HISTORY_LENGTH, REPLACED

# The lanes, as CTEs of the statements below: a loose index scan of taskq_task_ready. It takes one
# probe for each queue, one for each of its priorities, and one for the head of each such lane,
# however many tasks wait behind it. A paused queue costs only a probe of the primary key of
# taskq_pausedqueue.
_LANES = """
RECURSIVE waiting AS (
    SELECT min(queue) AS queue FROM taskq_task WHERE state = 0 AND %(queues)s::text[] IS NULL
    UNION ALL
    SELECT (SELECT min(queue) FROM taskq_task WHERE state = 0 AND queue > waiting.queue)
    FROM waiting WHERE waiting.queue IS NOT NULL
), lane AS (
    SELECT served.queue, (
        SELECT max(priority) FROM taskq_task WHERE state = 0 AND queue = served.queue
    ) AS priority
    FROM (SELECT queue FROM waiting WHERE queue IS NOT NULL
          UNION ALL SELECT unnest(%(queues)s::text[])) AS served
    WHERE NOT EXISTS (SELECT FROM taskq_pausedqueue AS paused WHERE paused.queue = served.queue)
    UNION ALL
    SELECT lane.queue, (
        SELECT max(priority) FROM taskq_task
        WHERE state = 0 AND queue = lane.queue AND priority < lane.priority
    )
    FROM lane WHERE lane.priority IS NOT NULL
), head AS (
    SELECT lane.queue, lane.priority, first.execute_at, first.id
    FROM lane
    CROSS JOIN LATERAL (
        SELECT execute_at, id FROM taskq_task
        WHERE state = 0 AND queue = lane.queue AND priority = lane.priority
        ORDER BY execute_at, id LIMIT 1
    ) AS first
    WHERE lane.priority IS NOT NULL
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
           (name = ANY (%(quick)s) AND NOT isolated AND max_losses > 0) AS quick
    FROM taskq_task
    WHERE state = 0 AND execute_at <= statement_timestamp() AND EXISTS (SELECT FROM alive)
      AND {there}
    ORDER BY execute_at, id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), taken AS (
    SELECT id, row_number() OVER sequence AS place, bool_and(quick) OVER sequence AS quick
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
          task.scheduled_at::text, CASE WHEN taken.place = %(limit)s THEN task.execute_at::text END
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

#: How a worker is named after its row is gone.
_WHO = "(SELECT pool || '/' || name || '/' || id FROM taskq_worker WHERE id = %(worker)s)"


def history(kind: str, traceback: str) -> str:
    """A task's history with the ended run added: one line of JSON for each run."""
    return f"""
        CASE WHEN length(task.history) < {HISTORY_LENGTH} THEN task.history || E'\\n' ELSE '' END
        || json_build_object('worker', {_WHO}, 'error', {kind}, 'traceback', {traceback},
                             'started_at', task.started_at)::text
    """


# The fence: the id by primary key, then worker and attempt on the locked row. A statement for many
# tasks takes one attempt: joining a list of attempts is five times as slow while the statistics do
# not know of running tasks yet. "+ 0" keeps the planner from taskq_task_running: while an old
# snapshot is open, that index has an entry for each task that this worker ever ran.
_HELD = "attempt = %(attempt)s AND worker_id = %(worker)s AND state + 0 = 1"
_FENCE = f"WHERE id = %(id)s AND {_HELD}"
_FENCES = f"WHERE id = ANY (%(ids)s) AND {_HELD}"

# Uses the primary key, under the fence. Locks nothing.
HOLDS = f"SELECT id FROM taskq_task {_FENCE}"

FINISH = f"DELETE FROM taskq_task {_FENCES} RETURNING id"
# One task, in a Django transaction: there, a list would be planned again each time. In such a
# transaction this and KEEP name their tables' schema, and all functions are in pg_catalog.
FINISH_ONE = f"DELETE FROM taskq_task {_FENCE} RETURNING id"

# For a worker that is gone. A row that another transaction has locked (a cancel) is skipped,
# because a keeper waits for nobody. STILL_HELD tells which rows those were, by the same index and
# without a lock. LOCK_IF_FREE runs first, in the same transaction: if it locks a row that the
# finish does not touch, a trigger or a policy keeps that row.
LOCK_IF_FREE = f"SELECT id FROM taskq_task {_FENCES} FOR UPDATE SKIP LOCKED"
FINISH_IF_FREE = f"DELETE FROM taskq_task WHERE id = ANY (ARRAY({LOCK_IF_FREE})) RETURNING id"
STILL_HELD = f"SELECT id FROM taskq_task {_FENCES}"

# Uses the primary keys of both tables. An id can exist already only if a sequence was set back.
KEEP = (
    f"""
WITH done AS (
    DELETE FROM taskq_task {_FENCE}
    RETURNING id, name, payload, queue, priority, created_at, run_after, started_at, history
)
INSERT INTO taskq_result (id, name, payload, queue, priority, created_at, run_after, started_at,
                          history, finished_at, worker, value)
SELECT done.*, pg_catalog.clock_timestamp(), {_WHO}, %(value)s FROM done
ON CONFLICT (id) DO UPDATE SET {REPLACED}
RETURNING id
""",
)

# Only tasks that keep their result have a history. For others no error class is given.
_HISTORY = f"""
    history = CASE WHEN %(kind)s::text IS NULL THEN task.history
                   ELSE {history("%(kind)s::text", "%(traceback)s::text")} END
"""

# The columns of a task that goes back to wait, unless it was cancelled meanwhile.
_BACK = """
    state = CASE WHEN cancelled_at IS NULL THEN 0 ELSE 2 END,
    failed_at = CASE WHEN cancelled_at IS NOT NULL THEN clock_timestamp() END,
    worker_id = NULL, started_at = NULL
"""

# The expiry is removed because the task started in time, and unknown_since because it is known.
RETRY = f"""
UPDATE taskq_task AS task
SET {_BACK}, retries = least(retries, 2147483646) + 1, expires_at = NULL, unknown_since = NULL,
    execute_at = coalesce(%(when)s::timestamptz,
                          clock_timestamp() + %(delay)s * interval '1 second'),
    error = %(error)s, traceback = %(traceback)s, {_HISTORY}
{_FENCE}
"""

FAIL = f"""
UPDATE taskq_task AS task
SET state = 2, worker_id = NULL, failed_at = clock_timestamp(), expires_at = NULL,
    error = %(error)s, traceback = %(traceback)s, {_HISTORY}
{_FENCE}
"""

# For a database that refuses the full outcome: this writes none of the task's own texts.
FAIL_PLAINLY = f"""
UPDATE taskq_task
SET state = 2, worker_id = NULL, failed_at = clock_timestamp(), expires_at = NULL,
    error = %(error)s, traceback = ''
{_FENCE}
"""

# A loss, as in leases.RECLAIM, for a run whose worker lives.
_ENDS = "(cancelled_at IS NOT NULL OR losses::int + 1 >= max_losses)"
LOSE = f"""
UPDATE taskq_task AS task
SET state = CASE WHEN {_ENDS} THEN 2 ELSE 0 END,
    failed_at = CASE WHEN {_ENDS} THEN clock_timestamp() END,
    execute_at = CASE WHEN {_ENDS} THEN execute_at
                      ELSE clock_timestamp() + %(delay)s * interval '1 second' END,
    losses = least(32767, losses::int + 1), expires_at = NULL, unknown_since = NULL,
    worker_id = NULL, started_at = NULL,
    error = %(error)s, traceback = %(traceback)s, {_HISTORY}
{_FENCE}
RETURNING losses, state = 2
"""

DEFER = f"""
UPDATE taskq_task
SET {_BACK},
    unknown_since = coalesce(unknown_since, clock_timestamp()),
    execute_at = clock_timestamp() + %(delay)s * interval '1 second'
{_FENCE}
"""

GIVE_BACK = f"""
UPDATE taskq_task SET {_BACK} {_FENCES} RETURNING id
"""

# From the keeper, for a worker whose run takes long. Rows that others have locked are skipped.
GIVE_BACK_IF_FREE = f"""
UPDATE taskq_task SET {_BACK} WHERE id = ANY (ARRAY(
    SELECT id FROM taskq_task {_FENCES} FOR NO KEY UPDATE SKIP LOCKED
)) RETURNING id
"""

# The tasks that a worker holds, from taskq_task_running. Locks nothing.
HELD_BY = "SELECT id, attempt FROM taskq_task WHERE state = 1 AND worker_id = %(worker)s"

# Uses the primary key, under the fence. No indexed column changes, so no index is written (HOT).
PROGRESS = f"UPDATE taskq_task SET progress = %(progress)s {_FENCE} RETURNING id"
# A row that another transaction has locked (a cancel, say) is skipped, because a keeper waits for
# nobody.
PROGRESS_IF_FREE = f"""
UPDATE taskq_task SET progress = %(progress)s
WHERE id = (SELECT id FROM taskq_task {_FENCE} FOR NO KEY UPDATE SKIP LOCKED)
RETURNING id
"""

# The runs of some workers that were asked to end, from taskq_task_cancelled. That index holds
# nothing else. Locks nothing.
CANCELLED_RUNS = """
SELECT worker_id, id, attempt FROM taskq_task
WHERE state = 1 AND cancelled_at IS NOT NULL AND worker_id = ANY (%(workers)s)
"""

# Which workers hold these tasks now, and for which attempt. By primary key. Locks nothing.
HELD_RUNS = "SELECT worker_id, id, attempt FROM taskq_task WHERE id = ANY (%(ids)s) AND state = 1"

# Some of the rows that ended before a time, oldest first. Rows that another session prunes or
# retries are locked, and are skipped. Uses taskq_result_finished, taskq_task_failed and
# taskq_idempotency_created, then the primary key.
PRUNE_RESULTS = """
DELETE FROM taskq_result WHERE id = ANY (ARRAY(
    SELECT id FROM taskq_result
    WHERE finished_at < statement_timestamp() - %(ttl)s * interval '1 second'
    ORDER BY finished_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
"""
PRUNE_FAILED = """
DELETE FROM taskq_task WHERE id = ANY (ARRAY(
    SELECT id FROM taskq_task
    WHERE state = 2 AND failed_at < statement_timestamp() - %(ttl)s * interval '1 second'
    ORDER BY failed_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
"""
PRUNE_KEYS = """
DELETE FROM taskq_idempotencykey WHERE id = ANY (ARRAY(
    SELECT id FROM taskq_idempotencykey
    WHERE created_at < statement_timestamp() - %(ttl)s * interval '1 second'
    ORDER BY created_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
"""
