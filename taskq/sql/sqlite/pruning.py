"""Pruning in SQLite. postgresql/pruning.py explains each statement."""

from __future__ import annotations

from taskq.sql.sqlite.time import later

RESULTS = f"""
DELETE FROM taskq_result WHERE id IN (
    SELECT id FROM taskq_result WHERE finished_at < {later("-%(ttl)s")}
    ORDER BY finished_at LIMIT %(limit)s
)
"""
FAILED = f"""
DELETE FROM taskq_task WHERE id IN (
    SELECT id FROM taskq_task WHERE state = 2 AND failed_at < {later("-%(ttl)s")}
    ORDER BY failed_at LIMIT %(limit)s
)
"""
KEYS = f"""
DELETE FROM taskq_idempotencykey WHERE id IN (
    SELECT id FROM taskq_idempotencykey AS known WHERE created_at < {later("-%(ttl)s")}
      AND (name <> ''
           OR NOT EXISTS (SELECT 1 FROM taskq_task WHERE id = known.task_id)
              AND NOT EXISTS (SELECT 1 FROM taskq_result WHERE id = known.task_id)
              AND NOT EXISTS (SELECT 1 FROM taskq_finished WHERE id = known.task_id))
    ORDER BY created_at LIMIT %(limit)s
)
"""
FINISHED = """
DELETE FROM taskq_finished WHERE id IN (
    SELECT id FROM taskq_finished WHERE expires_on < date('now')
    ORDER BY expires_on LIMIT %(limit)s
)
"""
