"""Pruning in PostgreSQL: what was kept for long enough is removed. What postgresql/tasks.py says of
time and isolation holds here too."""

# Some of the rows that ended before a time, oldest first. Rows that another session prunes or
# retries are locked, and are skipped. Uses taskq_result_finished, taskq_task_failed and
# taskq_idempotency_created, then the primary key.
RESULTS = """
DELETE FROM taskq_result WHERE id = ANY (ARRAY(
    SELECT id FROM taskq_result
    WHERE finished_at < statement_timestamp() - %(ttl)s * interval '1 second'
    ORDER BY finished_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
"""
FAILED = """
DELETE FROM taskq_task WHERE id = ANY (ARRAY(
    SELECT id FROM taskq_task
    WHERE state = 2 AND failed_at < statement_timestamp() - %(ttl)s * interval '1 second'
    ORDER BY failed_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
"""
# A key without a name is an id that a caller gave. It stands as long as there is anything of its
# task: each is looked up by primary key, and those that are left are read again the next time. The
# planner would hash all of a table for that, if there were no OFFSET 0.
KEYS = """
DELETE FROM taskq_idempotencykey WHERE id = ANY (ARRAY(
    SELECT id FROM taskq_idempotencykey AS known
    WHERE created_at < statement_timestamp() - %(ttl)s * interval '1 second'
      AND (name <> ''
           OR NOT EXISTS (SELECT FROM taskq_task WHERE id = known.task_id OFFSET 0)
              AND NOT EXISTS (SELECT FROM taskq_result WHERE id = known.task_id OFFSET 0)
              AND NOT EXISTS (SELECT FROM taskq_finished WHERE id = known.task_id OFFSET 0))
    ORDER BY created_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
"""
# Of the finished tasks only those in the default partition: the others go with their day
# (partitions.py). By taskq_finished_expires, then the primary key.
FINISHED = """
DELETE FROM taskq_finished_default
WHERE expires_on < (statement_timestamp() AT TIME ZONE 'UTC')::date AND id = ANY (ARRAY(
    SELECT id FROM taskq_finished_default
    WHERE expires_on < (statement_timestamp() AT TIME ZONE 'UTC')::date
    ORDER BY expires_on LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
"""
