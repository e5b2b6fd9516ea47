"""Enqueueing in SQLite, in the caller's own transaction."""

from __future__ import annotations

from taskq.sql.sqlite.time import later, later_or_null

TIMES = f"""
    coalesce(%(eta)s, {later("%(delay)s")}),
    coalesce(%(expires)s, {later_or_null("%(lifetime)s")}),
    %(eta)s
"""

#: The columns of a new row. ``run_after`` is the time that the caller gave, if any.
COLUMNS = "name, payload, queue, priority, max_losses, execute_at, expires_at, run_after"

ENQUEUE = f"""
INSERT INTO taskq_task ({COLUMNS})
VALUES (
    %(name)s, %(payload)s, %(queue)s, %(priority)s, %(max_losses)s, {TIMES}
)
RETURNING id
"""

ENQUEUE_MANY = f"""
INSERT INTO taskq_task ({COLUMNS})
SELECT %(name)s, value, %(queue)s, %(priority)s, %(max_losses)s, {TIMES}
FROM json_each(%(payloads)s) ORDER BY key
RETURNING id
"""

# The same, for callers that ask when it was.
ENQUEUE_TIMED = ENQUEUE.rstrip() + ", created_at"
ENQUEUE_MANY_TIMED = ENQUEUE_MANY.rstrip() + ", created_at"

# None is needed: a pool notices every commit in the file.
WAKE = None
TELL_CANCELLED = None
TELL_STACK = None
