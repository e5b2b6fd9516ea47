"""Enqueueing in SQLite, on the caller's own connection, and telling the pools of it."""

from __future__ import annotations

from taskq.sql.sqlite_time import later, later_or_null

DUE_AND_EXPIRY = f"""
    coalesce(%(eta)s, {later("%(delay)s")}),
    coalesce(%(expires)s, {later_or_null("%(lifetime)s")})
"""

ENQUEUE = f"""
INSERT INTO taskq_task (name, payload, queue, priority, max_losses, execute_at, expires_at)
VALUES (
    %(name)s, %(payload)s, %(queue)s, %(priority)s, %(max_losses)s, {DUE_AND_EXPIRY}
)
RETURNING id
"""

ENQUEUE_MANY = f"""
INSERT INTO taskq_task (name, payload, queue, priority, max_losses, execute_at, expires_at)
SELECT %(name)s, value, %(queue)s, %(priority)s, %(max_losses)s, {DUE_AND_EXPIRY}
FROM json_each(%(payloads)s) ORDER BY key
RETURNING id
"""

# A pool sees every commit in the file.
WAKE = None
TELL_CANCELLED = None
