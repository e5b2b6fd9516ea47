"""The requests for stacks in PostgreSQL, as keepers answer them."""

from __future__ import annotations

# The open requests to some workers, from taskq_stack_open. That index holds nothing else. Locks
# nothing.
ASKED = """
SELECT id, worker_id, task_id FROM taskq_stackrequest
WHERE answered_at IS NULL AND worker_id = ANY (%(workers)s)
"""

# By primary key. A caller that waits no longer has removed its row.
ANSWER = """
UPDATE taskq_stackrequest
SET answered_at = clock_timestamp(), refusal = %(refusal)s, stack = %(stack)s
WHERE id = %(id)s
"""

# What callers have left that died while they waited: by taskq_stack_asked, then by primary key.
PRUNE = """
DELETE FROM taskq_stackrequest WHERE id = ANY (ARRAY(
    SELECT id FROM taskq_stackrequest
    WHERE asked_at < statement_timestamp() - %(ttl)s * interval '1 second'
    ORDER BY asked_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
"""
