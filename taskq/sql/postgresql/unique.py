"""Unique and idempotency keys in PostgreSQL, on the caller's own connection.

The statements are for READ COMMITTED. In stricter isolation, a key that another transaction took
after ours began causes a serialization failure, as with any unique index.
"""

from taskq.sql.postgresql.enqueue import COLUMNS, TIMES, WAKE_ONE, WRITTEN_AT

# Whether a waiting task can still run. One that has expired, or will before it is due, is dropped.
_ALIVE = "coalesce(expires_at > greatest(statement_timestamp(), execute_at), true)"

# As ENQUEUE_MANY, but skips keys that are taken. If an open transaction inserts, claims or ends
# the task with a key, this waits for it, by taskq_task_unique. It does not wait for one that only
# locks the task. All statements that lock several keys take them in order, so no two of them wait
# for each other.
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

# The waiting tasks that hold the keys, by taskq_task_unique. They are locked until the caller's
# transaction ends. A claim skips locked rows, so they start after that and see what the caller
# commits. Any number of callers can share this lock. A sleeping pool is notified at the caller's
# commit, as after an insert.
#
# Each key is looked up alone, in their order: with a list of keys and old statistics, PostgreSQL
# before 17 reads all tasks of the name. "+ 0" keeps the planner from taskq_task_ready. With old
# statistics that index looks as good, but it has an entry for each waiting task.
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

# The tasks that wait or run, without a lock, so that the worker of a running one can finish it.
# Each key is looked up alone here too: OFFSET keeps the planner from making a list of them again.
LOOK = f"""
SELECT held.id, held.unique_key
FROM unnest(%(keys)s::text[]) AS wanted (key) CROSS JOIN LATERAL (
    SELECT id, unique_key FROM taskq_task
    WHERE name = %(name)s AND unique_key = wanted.key AND state < 2
      AND (state + 0 = 1 OR {_ALIVE})
    OFFSET 0
) AS held
"""


# The tasks that hold the keys but have expired: a claim would only drop them. Found as in JOIN,
# removed by primary key.
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


# Tasks that other calls have joined are skipped: two calls that joined one would wait for each
# other.
DROP_EXPIRED = _drop_expired("FOR UPDATE SKIP LOCKED")
# For a call that has no other place for its task.
WAIT_AND_DROP_EXPIRED = _drop_expired("FOR UPDATE")

# The row of an idempotency key: a new one, or an old one that has run out. No row while a valid one
# exists. Waits for an open transaction that has written the row. Uses taskq_idempotency_key.
REMEMBER = """
INSERT INTO taskq_idempotencykey AS known (name, key)
VALUES (%(name)s, %(key)s)
ON CONFLICT (name, key) DO UPDATE SET created_at = statement_timestamp(), task_id = NULL
WHERE known.created_at <= statement_timestamp() - %(ttl)s * interval '1 second'
RETURNING id
"""

# The id that a caller gave to a task stands under the empty name. A later task with this id takes
# its place. Uses taskq_idempotency_key. A second caller with the same id waits for the first one's
# transaction.
GIVE_ID = """
INSERT INTO taskq_idempotencykey (name, key, task_id) VALUES ('', %(key)s, %(task)s)
ON CONFLICT (name, key) DO UPDATE
SET task_id = excluded.task_id, created_at = statement_timestamp()
"""
