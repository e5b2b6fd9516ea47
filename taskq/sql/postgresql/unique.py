"""Unique and idempotency keys in PostgreSQL, on the caller's own connection.

In READ COMMITTED. In stricter isolation a key that another transaction took after ours
began is a serialization failure, as with any unique index.
"""

from taskq.sql.postgresql.enqueue import COLUMNS, TIMES, WAKE_ONE, WRITTEN_AT

# Whether a task that waits can still be run: one that has expired, or is bound to, is dropped.
_ALIVE = "coalesce(expires_at > greatest(statement_timestamp(), execute_at), true)"

# As ENQUEUE_MANY, but for the keys that are taken. Where a transaction that has yet to end
# inserted, claims or ends the task with a key, this waits for it, by taskq_task_unique; for
# one that only locks the task it does not. In order of the keys, as all that lock several,
# so that two such statements never wait for each other.
INSERT = f"""
WITH task AS (
    INSERT INTO taskq_task ({COLUMNS}, unique_key, unique_until, unique_place)
    SELECT %(name)s, call ->> 0, %(queue)s, %(priority)s, %(max_losses)s, {TIMES},
           call ->> 1, %(unique_until)s, %(place)s
    FROM json_array_elements(%(calls)s::json) AS call
    ORDER BY call ->> 1
    ON CONFLICT (name, unique_key, unique_place) WHERE state < 2 AND unique_key IS NOT NULL
    DO NOTHING
    RETURNING id, unique_key, {WRITTEN_AT} AS written_at
), wake AS MATERIALIZED (
    SELECT {WAKE_ONE} AS sent
)
SELECT task.*, wake.sent FROM task CROSS JOIN wake
"""

# The waiting tasks that hold the keys, by taskq_task_unique. They are locked until the
# caller's transaction ends, for a claim passes over what is locked: they start after that,
# and so see what the caller commits. Any number of callers can share this lock. A pool that
# sleeps is told when the caller is done, as by one who inserts. A look-up for each of the keys,
# which come in their order: of a list of them PostgreSQL before 17, under old statistics, reads
# all that the name has. "+ 0" keeps taskq_task_ready out of it, which under old statistics looks
# as good, and has an entry for all that waits.
JOIN = f"""
SELECT held.id, held.unique_key, {WAKE_ONE}
FROM unnest(%(keys)s::text[]) AS wanted (key) CROSS JOIN LATERAL (
    SELECT id, unique_key FROM taskq_task
    WHERE name = %(name)s AND unique_key = wanted.key AND unique_place = ANY (%(places)s::int[])
      AND state < 2 AND state + 0 = 0 AND {_ALIVE}
      AND execute_at > statement_timestamp() - %(overdue)s * interval '1 second'
    ORDER BY unique_place FOR KEY SHARE
) AS held
"""

# Those that wait or run, without a lock: the worker of one that runs is to finish it.
# For each key by itself as well; OFFSET keeps the planner from making a list of them again.
LOOK = f"""
SELECT held.id, held.unique_key
FROM unnest(%(keys)s::text[]) AS wanted (key) CROSS JOIN LATERAL (
    SELECT id, unique_key FROM taskq_task
    WHERE name = %(name)s AND unique_key = wanted.key AND state < 2
      AND (state + 0 = 1 OR {_ALIVE})
    OFFSET 0
) AS held
"""


# What holds the keys and can no longer be run: a claim would only drop it as well. Found as by
# JOIN, removed by primary key.
def _drop_expired(lock: str) -> str:
    return f"""
DELETE FROM taskq_task WHERE id = ANY (ARRAY(
    SELECT held.id
    FROM unnest(%(keys)s::text[]) AS wanted (key) CROSS JOIN LATERAL (
        SELECT id FROM taskq_task
        WHERE name = %(name)s AND unique_key = wanted.key
          AND state < 2 AND state + 0 = 0 AND NOT {_ALIVE}
        {lock}
    ) AS held
))
RETURNING id
"""


# Those whom others have joined are passed over: two who have joined one would wait for each other.
DROP_EXPIRED = _drop_expired("FOR UPDATE SKIP LOCKED")
# Where there is no other place for ours.
WAIT_AND_DROP_EXPIRED = _drop_expired("FOR UPDATE")

# The row of an idempotency key, new or as good as new; none while one that counts is there.
# Waits for a transaction that has written it and has yet to end. By taskq_idempotency_key.
REMEMBER = """
INSERT INTO taskq_idempotencykey AS known (name, key)
VALUES (%(name)s, %(key)s)
ON CONFLICT (name, key) DO UPDATE SET created_at = statement_timestamp(), task_id = NULL
WHERE known.created_at <= statement_timestamp() - %(ttl)s * interval '1 second'
RETURNING id
"""
