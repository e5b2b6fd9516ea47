"""Unique and idempotency keys in SQLite, on the caller's own connection.

A transaction holds the one write lock from its first writing statement until its end, and nobody
claims meanwhile. So there is nothing to lock, nobody to wait for, and no task that is held back.
"""

from taskq.sql.sqlite.enqueue import COLUMNS, TIMES
from taskq.sql.sqlite.time import NOW, later

INSERT = f"""
INSERT INTO taskq_task ({COLUMNS}, unique_key, unique_until, unique_place)
SELECT %(name)s, json_extract(value, '$[0]'), %(queue)s, %(priority)s, %(max_losses)s,
       {TIMES}, json_extract(value, '$[1]'), %(unique_until)s, %(place)s
FROM json_each(%(calls)s) WHERE 1 ORDER BY json_extract(value, '$[1]')
ON CONFLICT (name, unique_key, unique_place) WHERE state < 2 AND unique_key IS NOT NULL
DO NOTHING
RETURNING id, unique_key, created_at
"""

_ALIVE = f"coalesce(expires_at > max({NOW}, execute_at), 1)"

LOOK = JOIN = f"""
SELECT id, unique_key FROM taskq_task
WHERE name = %(name)s AND unique_key IN (SELECT value FROM json_each(%(keys)s))
  AND unique_key IS NOT NULL AND state < 2 AND (state = 1 OR {_ALIVE})
"""

DROP_EXPIRED = WAIT_AND_DROP_EXPIRED = f"""
DELETE FROM taskq_task
WHERE name = %(name)s AND unique_key IN (SELECT value FROM json_each(%(keys)s))
  AND unique_key IS NOT NULL AND state < 2 AND state = 0 AND NOT {_ALIVE}
RETURNING id
"""

REMEMBER = f"""
INSERT INTO taskq_idempotencykey (name, key, created_at) VALUES (%(name)s, %(key)s, {NOW})
ON CONFLICT (name, key) DO UPDATE SET created_at = excluded.created_at, task_id = NULL
WHERE taskq_idempotencykey.created_at <= {later("-%(ttl)s")}
RETURNING id
"""

GIVE_ID = f"""
INSERT INTO taskq_idempotencykey (name, key, task_id, created_at)
VALUES ('', %(key)s, %(task)s, {NOW})
ON CONFLICT (name, key) DO UPDATE
SET task_id = excluded.task_id, created_at = excluded.created_at
"""
