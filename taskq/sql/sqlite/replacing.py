"""Replacing a running task by steps in SQLite; postgresql/replacing.py explains the SQL."""

from __future__ import annotations

from taskq.limits import ADDED_PLACES
from taskq.sql.sqlite.time import NOW, later

REPLACE = f"""
UPDATE taskq_task
SET name = %(name)s, payload = %(payload)s, queue = %(queue)s, priority = %(priority)s,
    max_losses = %(max_losses)s,
    state = CASE WHEN cancelled_at IS NOT NULL THEN 2 WHEN %(blocked)s THEN 3 ELSE 0 END,
    failed_at = CASE WHEN cancelled_at IS NOT NULL THEN {NOW} END,
    worker_id = NULL, started_at = NULL, retries = 0, losses = 0, inputs = NULL,
    expires_at = NULL, unknown_since = NULL, progress = NULL,
    delay = CASE WHEN %(blocked)s THEN nullif(%(delay)s, 0) END,
    execute_at = coalesce(%(eta)s, {later("CASE WHEN %(blocked)s THEN 0 ELSE %(delay)s END")})
WHERE id = %(id)s AND attempt = %(attempt)s AND state = 1 AND worker_id = %(worker)s
RETURNING workflow_id, state
"""

# A task that was no step becomes one, as other steps replace it. By the primary key.
JOIN = "UPDATE taskq_task SET workflow_id = %(workflow)s WHERE id = %(id)s"

# What waits for the failure of a part also hears of the steps that replace it: at the same place,
# of which one edge is enough. By taskq_edge_part.
HEAR = """
INSERT INTO taskq_edge (step_id, place, part_id, waits_for)
SELECT edge.step_id, edge.place, new.value, 1
FROM taskq_edge AS edge CROSS JOIN json_each(%(parts)s) AS new
WHERE edge.part_id = %(id)s AND edge.waits_for = 1 AND edge.state + 0 = 0
RETURNING step_id
"""

# One more part for the steps that wait for a part to be done. Its place is its own, whoever else
# adds one at the same time. By taskq_edge_part.
ADD_PART = f"""
INSERT INTO taskq_edge (step_id, place, part_id, waits_for)
SELECT DISTINCT step_id, {ADDED_PLACES} + %(part)s, %(part)s, 0
FROM taskq_edge WHERE part_id = %(beside)s AND waits_for = 0
RETURNING step_id
"""
