"""Enqueueing in PostgreSQL, in the caller's own transaction, and the wake-up of a pool.

Times are those of the statement, by the database's clock.
"""

from __future__ import annotations

from taskq.sql import CANCEL, STACK

# A wake-up is only a hint, so it is left out while the server's notification queue is half full.
# The server has one such queue: it fills up when another program sends many notifications that a
# session does not read. Once it is full, each commit that sends one fails. The queue is checked
# only when a wake-up would be sent.
THERE_IS_ROOM = "pg_notification_queue_usage() < 0.5"

# Whether to wake a pool: only if one sleeps. NOTIFY takes a lock that serializes the commits of
# the whole server, so a busy pool asks for none. The look at sleepers probes the tiny partial
# index taskq_worker_listens. It locks nothing.
_WANTED = f"EXISTS (SELECT FROM taskq_worker WHERE listens) AND {THERE_IS_ROOM}"

#: An expression that wakes a pool if one sleeps.
WAKE_ONE = f"CASE WHEN {_WANTED} THEN pg_notify('taskq', '') END"

TIMES = """
    coalesce(%(eta)s::timestamptz, statement_timestamp() + %(delay)s * interval '1 second'),
    coalesce(%(expires)s::timestamptz, statement_timestamp() + %(lifetime)s * interval '1 second'),
    %(eta)s::timestamptz
"""

#: When a row was written. The driver reads a number ten times as fast as a time.
WRITTEN_AT = "(extract(epoch FROM created_at) * 1000000)::bigint"

#: The columns of a new row. ``run_after`` is the time that the caller gave, if any.
COLUMNS = "name, payload, queue, priority, max_losses, execute_at, expires_at, run_after"


# Insert, and wake a pool if one sleeps.
def _enqueue(returning: str) -> str:
    return f"""
INSERT INTO taskq_task ({COLUMNS})
VALUES (
    %(name)s, %(payload)s, %(queue)s, %(priority)s, %(max_losses)s, {TIMES}
)
RETURNING {returning}, {WAKE_ONE}
"""


# The sort comes before the insert, so the rows are numbered in the order of the list. The
# sleepers are looked at once.
def _enqueue_many(returning: str) -> str:
    return f"""
WITH task AS (
    INSERT INTO taskq_task ({COLUMNS})
    SELECT %(name)s, call.payload, %(queue)s, %(priority)s, %(max_losses)s, {TIMES}
    FROM json_array_elements_text(%(payloads)s::json) WITH ORDINALITY AS call (payload, place)
    ORDER BY call.place
    RETURNING {returning}
), wake AS MATERIALIZED (
    SELECT {WAKE_ONE} AS sent
)
SELECT task.*, wake.sent FROM task CROSS JOIN wake
"""


ENQUEUE = _enqueue("id")
ENQUEUE_MANY = _enqueue_many("id")
# The same, for callers that ask when it was.
ENQUEUE_TIMED = _enqueue(f"id, {WRITTEN_AT}")
ENQUEUE_MANY_TIMED = _enqueue_many(f"id, {WRITTEN_AT}")

# The wake-up of an enqueue, for tasks that became due by other means. A probe of
# taskq_worker_listens. Locks nothing.
WAKE = f"SELECT pg_notify('taskq', '') WHERE {_WANTED}"

# After a running task was asked to end. It is sent whether a pool sleeps or not, because it is
# rare, and every pool that listens hears it.
TELL_CANCELLED = f"SELECT pg_notify('taskq', '{CANCEL}') WHERE {THERE_IS_ROOM}"
# After somebody has asked for a stack, for the same reason.
TELL_STACK = f"SELECT pg_notify('taskq', '{STACK}') WHERE {THERE_IS_ROOM}"
