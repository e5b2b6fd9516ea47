"""Enqueueing in PostgreSQL, on the caller's own connection, and telling the pools of it.

In the caller's transaction. Times are those of the statement, by the database's clock.
"""

from __future__ import annotations

from taskq.sql import CANCEL

DUE_AND_EXPIRY = """
    coalesce(%(eta)s::timestamptz, statement_timestamp() + %(delay)s * interval '1 second'),
    coalesce(%(expires)s::timestamptz, statement_timestamp() + %(lifetime)s * interval '1 second')
"""

# Insert, and wake a pool if one sleeps: NOTIFY takes a lock that serializes the
# commits of the whole server, so a busy pool asks for none. The look at sleepers
# is a probe of the tiny partial index taskq_worker_listens; it locks nothing.
ENQUEUE = f"""
INSERT INTO taskq_task (name, payload, queue, priority, max_losses, execute_at, expires_at)
VALUES (
    %(name)s, %(payload)s, %(queue)s, %(priority)s, %(max_losses)s, {DUE_AND_EXPIRY}
)
RETURNING id, CASE WHEN EXISTS (SELECT FROM taskq_worker WHERE listens)
                   THEN pg_notify('taskq', '') END
"""

# The rows are numbered in the order of the list, as the sort comes before the insert, and
# the sleepers are looked at once.
ENQUEUE_MANY = f"""
WITH task AS (
    INSERT INTO taskq_task (name, payload, queue, priority, max_losses, execute_at, expires_at)
    SELECT %(name)s, call.payload, %(queue)s, %(priority)s, %(max_losses)s, {DUE_AND_EXPIRY}
    FROM json_array_elements_text(%(payloads)s::json) WITH ORDINALITY AS call (payload, place)
    ORDER BY call.place
    RETURNING id
), wake AS MATERIALIZED (
    SELECT CASE WHEN EXISTS (SELECT FROM taskq_worker WHERE listens)
                THEN pg_notify('taskq', '') END AS sent
)
SELECT task.id, wake.sent FROM task CROSS JOIN wake
"""

# As an enqueue does, after tasks became due by other means. A probe of
# taskq_worker_listens; locks nothing.
WAKE = "SELECT pg_notify('taskq', '') WHERE EXISTS (SELECT FROM taskq_worker WHERE listens)"

# After a running task was asked to end. Whether anyone asked for wake-ups or not: it is rare,
# and who listens hears it.
TELL_CANCELLED = f"SELECT pg_notify('taskq', '{CANCEL}')"
