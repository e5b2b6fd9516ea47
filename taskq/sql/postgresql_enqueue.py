"""Enqueueing in PostgreSQL, on the caller's own connection, and telling the pools of it.

In the caller's transaction. Times are those of the statement, by the database's clock.
"""

from __future__ import annotations

from taskq.sql import CANCEL

# A wake-up is a hint: while the server's one queue of notifications is half full, as some other
# program sends many that a session of its own does not read, it is left out. Where that queue is
# full each commit that sends one fails. It is looked at only where a wake-up would be sent.
THERE_IS_ROOM = "pg_notification_queue_usage() < 0.5"

# Whether to wake a pool: if one sleeps. NOTIFY takes a lock that serializes the commits of the
# whole server, so a busy pool asks for none. The look at sleepers is a probe of the tiny partial
# index taskq_worker_listens; it locks nothing.
_WANTED = f"EXISTS (SELECT FROM taskq_worker WHERE listens) AND {THERE_IS_ROOM}"

#: An expression that wakes a pool if one sleeps.
WAKE_ONE = f"CASE WHEN {_WANTED} THEN pg_notify('taskq', '') END"

DUE_AND_EXPIRY = """
    coalesce(%(eta)s::timestamptz, statement_timestamp() + %(delay)s * interval '1 second'),
    coalesce(%(expires)s::timestamptz, statement_timestamp() + %(lifetime)s * interval '1 second')
"""

# Insert, and wake a pool if one sleeps.
ENQUEUE = f"""
INSERT INTO taskq_task (name, payload, queue, priority, max_losses, execute_at, expires_at)
VALUES (
    %(name)s, %(payload)s, %(queue)s, %(priority)s, %(max_losses)s, {DUE_AND_EXPIRY}
)
RETURNING id, {WAKE_ONE}
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
    SELECT {WAKE_ONE} AS sent
)
SELECT task.id, wake.sent FROM task CROSS JOIN wake
"""

# As an enqueue does, after tasks became due by other means. A probe of
# taskq_worker_listens; locks nothing.
WAKE = f"SELECT pg_notify('taskq', '') WHERE {_WANTED}"

# After a running task was asked to end. Whether anyone asked for wake-ups or not: it is rare,
# and who listens hears it.
TELL_CANCELLED = f"SELECT pg_notify('taskq', '{CANCEL}') WHERE {THERE_IS_ROOM}"
