"""The requests for stacks in SQLite. postgresql/stacks.py explains each statement."""

from __future__ import annotations

from taskq.sql.sqlite.time import NOW, later

ASKED = """
SELECT id, worker_id, task_id FROM taskq_stackrequest
WHERE answered_at IS NULL AND worker_id IN (SELECT value FROM json_each(%(workers)s))
"""

ANSWER = f"""
UPDATE taskq_stackrequest SET answered_at = {NOW}, refusal = %(refusal)s, stack = %(stack)s
WHERE id = %(id)s
"""

PRUNE = f"""
DELETE FROM taskq_stackrequest WHERE id IN (
    SELECT id FROM taskq_stackrequest WHERE asked_at < {later("-%(ttl)s")}
    ORDER BY asked_at LIMIT %(limit)s
)
"""
