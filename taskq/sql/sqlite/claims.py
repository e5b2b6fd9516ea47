"""The lanes and the claim in SQLite; postgresql/claims.py explains the SQL."""

from __future__ import annotations

from taskq.sql.sqlite.cast import INTEGER, TEXT
from taskq.sql.sqlite.tasks import LOSSES, MAX_LOSSES, RETRIES
from taskq.sql.sqlite.time import NOW

_NO_BYTES = "queue < x''"

# Uses taskq_task_ready, as in PostgreSQL. Due has the claim's meaning, which compares text: a text
# that is no time waits long, or not at all.
LANES = f"""
WITH RECURSIVE waiting AS (
    SELECT min(queue) AS queue FROM taskq_task
    WHERE state = 0 AND {_NO_BYTES} AND %(queues)s IS NULL
    UNION ALL
    SELECT (
        SELECT min(queue) FROM taskq_task
        WHERE state = 0 AND queue > waiting.queue AND {_NO_BYTES}
    )
    FROM waiting WHERE waiting.queue IS NOT NULL
), served AS (
    SELECT queue FROM waiting WHERE queue IS NOT NULL
    UNION ALL SELECT value FROM json_each(%(queues)s)
), lane AS (
    SELECT served.queue, (
        SELECT max(priority) FROM taskq_task WHERE state = 0 AND queue = served.queue
    ) AS priority
    FROM served
    WHERE NOT EXISTS (SELECT 1 FROM taskq_pausedqueue AS paused WHERE paused.queue = served.queue)
    UNION ALL
    SELECT lane.queue, (
        SELECT max(priority) FROM taskq_task
        WHERE state = 0 AND queue = lane.queue AND priority < lane.priority
    )
    FROM lane WHERE lane.priority IS NOT NULL
), head AS (
    SELECT lane.queue, lane.priority, (
        SELECT id FROM taskq_task
        WHERE state = 0 AND queue = lane.queue AND priority = lane.priority
        ORDER BY execute_at, id LIMIT 1
    ) AS id
    FROM lane WHERE lane.priority IS NOT NULL
)
SELECT head.queue, head.priority,
       CASE WHEN task.execute_at > {NOW}
            THEN coalesce((julianday(task.execute_at) - julianday({NOW})) * 86400.0, 1e9)
            ELSE 0.0 END,
       task.execute_at || '', task.id
FROM head JOIN taskq_task AS task ON task.id = head.id
ORDER BY head.priority DESC, task.execute_at, task.id
"""

_DESCRIPTION = ", ".join(
    f"CASE WHEN name IN (SELECT value FROM json_each(%(described)s)) THEN {column} END"
    for column in (
        INTEGER.format("priority"),
        "created_at || ''",
        "run_after || ''",
        NOW,
        TEXT.format("history"),
    )
)

# Not IS NOT NULL in RETURNING: SQLite 3.40 says 1 there for a NULL, where a partial index asks it.
_STEP = f"""CASE WHEN typeof(workflow_id) <> 'null'
    THEN json_array({INTEGER.format("workflow_id")}, passes <> 0, {TEXT.format("inputs")}) END"""

CLAIM = f"""
UPDATE taskq_task
SET state = 1, worker_id = %(worker)s, attempt = attempt %% 2147483647 + 1, started_at = {NOW},
    unique_key = CASE WHEN unique_until = 'finish' AND coalesce(expires_at > {NOW}, 1)
                      THEN unique_key END
WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER sequence AS place, min(quick) OVER sequence AS quick
        FROM (
            SELECT id, execute_at,
                   name IN (SELECT value FROM json_each(%(quick)s))
                       AND NOT isolated AND {MAX_LOSSES} > 0 AS quick
            FROM taskq_task
            WHERE state = 0 AND queue = %(queue)s AND priority = %(priority)s
              AND execute_at <= {NOW}
              AND (execute_at, id) >= (%(from_due)s, %(from_id)s)
            ORDER BY execute_at, id LIMIT %(limit)s
        ) WINDOW sequence AS (ORDER BY execute_at, id)
    ) WHERE place = 1 OR quick
) AND EXISTS (SELECT 1 FROM taskq_worker WHERE id = %(worker)s AND lease_expires_at > {NOW})
RETURNING execute_at || printf('%%20d', id), id, attempt, {TEXT.format("name")},
          {TEXT.format("payload")}, queue, {RETRIES}, {LOSSES},
          isolated OR {MAX_LOSSES} <= 0, coalesce(expires_at <= {NOW}, 0),
          (julianday({NOW}) - julianday(unknown_since)) * 86400.0,
          coalesce((julianday({NOW}) - julianday(execute_at)) * 86400.0, 0.0),
          scheduled_at || '', {_DESCRIPTION}, {_STEP}, NULL
"""

# Not needed: looking at the lanes first costs no round trip.
CLAIM_FIRST = None
