"""The queue in PostgreSQL.

All statements run in READ COMMITTED, most of them alone in autocommit. Times
are the database's: ``statement_timestamp()`` where an index must be able to use
it (it is stable), ``clock_timestamp()`` for lease ends, which must not be
reckoned from when a transaction began.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Self

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from taskq.sql import CANCEL, CANCELLED, HISTORY_LENGTH, LOST, REPLACED, Call

CHANNEL = "taskq"

#: Executions of a statement after which the server keeps it parsed.
PREPARE_AFTER = 2

_DUE_AND_EXPIRY = """
    coalesce(%(eta)s::timestamptz, statement_timestamp() + %(delay)s * interval '1 second'),
    coalesce(%(expires)s::timestamptz, statement_timestamp() + %(lifetime)s * interval '1 second')
"""

# Insert, and wake a pool if one sleeps: NOTIFY takes a lock that serializes the
# commits of the whole server, so a busy pool asks for none. The look at sleepers
# is a probe of the tiny partial index taskq_worker_listens; it locks nothing.
ENQUEUE = f"""
INSERT INTO taskq_task (name, payload, queue, priority, max_losses, execute_at, expires_at)
VALUES (
    %(name)s, %(payload)s, %(queue)s, %(priority)s, %(max_losses)s, {_DUE_AND_EXPIRY}
)
RETURNING id, CASE WHEN EXISTS (SELECT FROM taskq_worker WHERE listens)
                   THEN pg_notify('taskq', '') END
"""

# The rows are numbered in the order of the list, as the sort comes before the insert, and
# the sleepers are looked at once.
ENQUEUE_MANY = f"""
WITH task AS (
    INSERT INTO taskq_task (name, payload, queue, priority, max_losses, execute_at, expires_at)
    SELECT %(name)s, call.payload, %(queue)s, %(priority)s, %(max_losses)s, {_DUE_AND_EXPIRY}
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

# A loose index scan of taskq_task_ready: one probe for each queue, for each of its
# priorities, and for the head of each of these lanes, whatever waits behind it. Of a queue
# that is paused it is no more than that: a probe of the primary key of taskq_pausedqueue.
# Reads only; the heads may be gone when the claim comes.
LANES = """
WITH RECURSIVE waiting AS (
    SELECT min(queue) AS queue FROM taskq_task WHERE state = 0 AND %(queues)s::text[] IS NULL
    UNION ALL
    SELECT (SELECT min(queue) FROM taskq_task WHERE state = 0 AND queue > waiting.queue)
    FROM waiting WHERE waiting.queue IS NOT NULL
), lane AS (
    SELECT served.queue, (
        SELECT max(priority) FROM taskq_task WHERE state = 0 AND queue = served.queue
    ) AS priority
    FROM (SELECT queue FROM waiting WHERE queue IS NOT NULL
          UNION ALL SELECT unnest(%(queues)s::text[])) AS served
    WHERE NOT EXISTS (SELECT FROM taskq_pausedqueue AS paused WHERE paused.queue = served.queue)
    UNION ALL
    SELECT lane.queue, (
        SELECT max(priority) FROM taskq_task
        WHERE state = 0 AND queue = lane.queue AND priority < lane.priority
    )
    FROM lane WHERE lane.priority IS NOT NULL
)
SELECT lane.queue, lane.priority,
       extract(epoch FROM head.execute_at - statement_timestamp())::float8 AS wait,
       head.execute_at::text AS due, head.id
FROM lane
CROSS JOIN LATERAL (
    SELECT execute_at, id FROM taskq_task
    WHERE state = 0 AND queue = lane.queue AND priority = lane.priority
    ORDER BY execute_at, id LIMIT 1
) AS head
WHERE lane.priority IS NOT NULL
ORDER BY lane.priority DESC, head.execute_at, head.id
"""

# The worker's row is locked first (FOR KEY SHARE, as a foreign key would): while a
# claim is in flight nobody can retire its worker, and after that it claims nothing.
# It does not conflict with renewals, which change no key.
# The tasks are read in order from taskq_task_ready and locked as they are found;
# what others have locked is passed over without waiting. They are read from where the
# last claim ended: while anyone's transaction is open, the entries of what was claimed
# before stay in the index, and reading them again each time would take ever longer.
# A unique key that is released on start is released here: whatever becomes of this claim,
# the task goes back without it, and can meet no other that has taken it meanwhile.
CLAIM = """
WITH alive AS MATERIALIZED (
    SELECT id FROM taskq_worker
    WHERE id = %(worker)s AND lease_expires_at > clock_timestamp()
    FOR KEY SHARE
), due AS MATERIALIZED (
    SELECT id, execute_at, (name = ANY (%(quick)s) AND NOT isolated) AS quick
    FROM taskq_task
    WHERE state = 0 AND queue = %(queue)s AND priority = %(priority)s
      AND execute_at <= statement_timestamp()
      AND (execute_at, id) >= (%(from_due)s::timestamptz, %(from_id)s)
      AND EXISTS (SELECT FROM alive)
    ORDER BY execute_at, id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), taken AS (
    SELECT id, row_number() OVER sequence AS place, bool_and(quick) OVER sequence AS quick
    FROM due WINDOW sequence AS (ORDER BY execute_at, id)
)
UPDATE taskq_task AS task
SET state = 1, worker_id = %(worker)s, attempt = task.attempt + 1,
    started_at = statement_timestamp(),
    unique_key = CASE WHEN task.unique_until = 'finish' THEN task.unique_key END
FROM taken
WHERE task.id = taken.id AND (taken.place = 1 OR taken.quick)
RETURNING taken.place, task.id, task.attempt, task.name, task.payload, task.queue,
          task.retries, task.losses,
          coalesce(task.expires_at <= statement_timestamp(), false),
          extract(epoch FROM statement_timestamp() - task.unknown_since)::float8,
          task.scheduled_at,
          CASE WHEN taken.place = %(limit)s THEN task.execute_at::text END
"""

# Who a worker is, once its row is gone.
_WHO = "(SELECT pool || '/' || name || '/' || id FROM taskq_worker WHERE id = %(worker)s)"


def _history(kind: str, traceback: str) -> str:
    """A task's history with the run that has ended, a line of JSON each."""
    return f"""
        CASE WHEN length(task.history) < {HISTORY_LENGTH} THEN task.history || E'\\n' ELSE '' END
        || json_build_object('worker', {_WHO}, 'error', {kind}, 'traceback', {traceback},
                             'started_at', task.started_at)::text
    """


# The fence: id by primary key, then worker and attempt on the locked row. Of many at
# once all are of one attempt: a join with a list of attempts is five times as slow where
# the statistics have yet to hear of running tasks. "+ 0" keeps taskq_task_running out of
# it, which under anyone's old snapshot has an entry for each task that this worker ever ran.
_HELD = "attempt = %(attempt)s AND worker_id = %(worker)s AND state + 0 = 1"
_FENCE = f"WHERE id = %(id)s AND {_HELD}"
_FENCES = f"WHERE id = ANY (%(ids)s) AND {_HELD}"

FINISH = f"DELETE FROM taskq_task {_FENCES} RETURNING id"

# By primary key in both tables. An id is new but for a sequence that was set back.
KEEP = (
    f"""
WITH done AS (
    DELETE FROM taskq_task {_FENCE}
    RETURNING id, name, payload, queue, priority, created_at, started_at, history
)
INSERT INTO taskq_result (id, name, payload, queue, priority, created_at, started_at, history,
                          finished_at, worker, value)
SELECT done.*, clock_timestamp(), {_WHO}, %(value)s FROM done
ON CONFLICT (id) DO UPDATE SET {REPLACED}
RETURNING id
""",
)

# The history is for tasks that keep their result: for others no kind of error is given.
_HISTORY = f"""
    history = CASE WHEN %(kind)s::text IS NULL THEN task.history
                   ELSE {_history("%(kind)s::text", "%(traceback)s::text")} END
"""

# What goes back to wait, unless it was cancelled meanwhile.
_BACK = """
    state = CASE WHEN cancelled_at IS NULL THEN 0 ELSE 2 END,
    failed_at = CASE WHEN cancelled_at IS NOT NULL THEN clock_timestamp() END,
    worker_id = NULL, started_at = NULL
"""

RETRY = f"""
UPDATE taskq_task AS task
SET {_BACK}, retries = retries + 1,
    execute_at = coalesce(%(when)s::timestamptz,
                          clock_timestamp() + %(delay)s * interval '1 second'),
    error = %(error)s, traceback = %(traceback)s, {_HISTORY}
{_FENCE}
"""

FAIL = f"""
UPDATE taskq_task AS task
SET state = 2, worker_id = NULL, failed_at = clock_timestamp(),
    error = %(error)s, traceback = %(traceback)s, {_HISTORY}
{_FENCE}
"""

DEFER = f"""
UPDATE taskq_task
SET {_BACK},
    unknown_since = coalesce(unknown_since, clock_timestamp()),
    execute_at = clock_timestamp() + %(delay)s * interval '1 second'
{_FENCE}
"""

GIVE_BACK = f"""
UPDATE taskq_task SET {_BACK} {_FENCES} RETURNING id
"""

# By primary key, under the fence. No indexed column changes, so it touches no index (HOT).
PROGRESS = f"UPDATE taskq_task SET progress = %(progress)s {_FENCE} RETURNING id"

# The runs of some workers that were asked to end, from taskq_task_cancelled, which has
# nothing else in it. Locks nothing.
CANCELLED_RUNS = """
SELECT worker_id, id, attempt FROM taskq_task
WHERE state = 1 AND cancelled_at IS NOT NULL AND worker_id = ANY (%(workers)s)
"""

REGISTER = """
INSERT INTO taskq_worker (pool, host, name, pid, lease_expires_at)
SELECT %(pool)s, %(host)s, name, pid, clock_timestamp() + %(lease)s * interval '1 second'
FROM unnest(%(names)s::text[], %(pids)s::int[]) AS process (name, pid)
RETURNING pid, id
"""

# One statement for a pool, whatever it holds: it touches no task and, as no indexed
# column changes, no index either (HOT). A lease that ran out is never revived.
RENEW = """
UPDATE taskq_worker
SET lease_expires_at = clock_timestamp() + %(lease)s * interval '1 second'
WHERE id = ANY (%(workers)s) AND lease_expires_at > clock_timestamp()
RETURNING id
"""

LISTENS = (
    "UPDATE taskq_worker SET listens = %(listens)s WHERE id = %(worker)s AND listens <> %(listens)s"
)

# A scan of a table with a row a process: smaller than any index look-up is worth.
EXPIRED = "SELECT id FROM taskq_worker WHERE lease_expires_at <= clock_timestamp() ORDER BY id"

# Retiring takes these in this order, in one transaction. The worker's row is locked
# first, against claims in flight; only the statements after that look for its tasks,
# with a snapshot that sees what such a claim has committed.
LOCK_WORKER = "SELECT pool, name FROM taskq_worker WHERE id = %(worker)s FOR UPDATE"
LOCK_EXPIRED_WORKER = """
SELECT pool, name FROM taskq_worker
WHERE id = %(worker)s AND lease_expires_at <= clock_timestamp()
FOR UPDATE SKIP LOCKED
"""

# By taskq_task_running.
HELD = "SELECT count(*), max(id) FROM taskq_task WHERE state = 1 AND worker_id = %(worker)s"

# A row that is locked belongs to a transaction that finishes it (an atomic task's
# commit): it is left for the next time rather than waited for.
_TOLD = "held.blamed AND (held.ends OR %(charge)s > 0)"
_KIND = f"CASE WHEN held.cancelled THEN {CANCELLED} ELSE {LOST} END"
TAKE_BACK = f"""
UPDATE taskq_task AS task
SET state = CASE WHEN held.ends THEN 2 ELSE 0 END,
    failed_at = CASE WHEN held.ends THEN clock_timestamp() END,
    losses = task.losses + CASE WHEN held.blamed AND NOT held.cancelled THEN %(charge)s ELSE 0 END,
    isolated = task.isolated OR held.blamed OR %(suspect)s,
    error = CASE WHEN held.cancelled THEN 'cancelled; its worker: ' || %(cause)s::text
                 WHEN {_TOLD} THEN %(cause)s::text ELSE task.error END,
    history = CASE WHEN {_TOLD} THEN {_history(_KIND, "%(cause)s::text")} ELSE task.history END,
    traceback = CASE WHEN held.ends THEN '' ELSE task.traceback END,
    worker_id = NULL, started_at = NULL
FROM (
    SELECT id, id = %(blamed)s AS blamed, cancelled_at IS NOT NULL AS cancelled,
           cancelled_at IS NOT NULL OR
               id = %(blamed)s AND losses + %(charge)s >= max_losses AS ends
    FROM taskq_task WHERE state = 1 AND worker_id = %(worker)s
    ORDER BY id FOR UPDATE SKIP LOCKED
) AS held
WHERE task.id = held.id
RETURNING task.id, task.name, task.losses, held.blamed, held.ends, task.cancelled_at
"""

REMOVE_WORKER = """
DELETE FROM taskq_worker AS worker
WHERE id = %(worker)s
  AND NOT EXISTS (SELECT FROM taskq_task WHERE state = 1 AND worker_id = worker.id)
"""

# Some of those that ended before, oldest first. What another prunes, or retries, is locked
# and passed over. By taskq_result_finished, taskq_task_failed and taskq_idempotency_created,
# then by primary key.
PRUNE_RESULTS = """
DELETE FROM taskq_result WHERE id = ANY (ARRAY(
    SELECT id FROM taskq_result
    WHERE finished_at < statement_timestamp() - %(ttl)s * interval '1 second'
    ORDER BY finished_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
"""
PRUNE_FAILED = """
DELETE FROM taskq_task WHERE id = ANY (ARRAY(
    SELECT id FROM taskq_task
    WHERE state = 2 AND failed_at < statement_timestamp() - %(ttl)s * interval '1 second'
    ORDER BY failed_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
"""
PRUNE_KEYS = """
DELETE FROM taskq_idempotencykey WHERE id = ANY (ARRAY(
    SELECT id FROM taskq_idempotencykey
    WHERE created_at < statement_timestamp() - %(ttl)s * interval '1 second'
    ORDER BY created_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
"""


def connection_options(options: dict[str, Any], lease: float, name: str) -> dict[str, Any]:
    """The site's own options, without its connection pool, and with limits on how long
    a dead network can hold us: well below the lease."""
    patience = max(1.0, lease / 4)
    defaults = {
        "application_name": name,
        "connect_timeout": max(2, int(patience)),
        "keepalives_idle": max(1, int(patience)),
        "keepalives_interval": max(1, int(patience / 3)),
        "keepalives_count": 3,
        "tcp_user_timeout": int(patience * 1000),
    }
    return {**defaults, **{key: value for key, value in options.items() if key != "pool"}}


def rows_within(
    wrapper: BaseDatabaseWrapper, statement: str, values: dict[str, Any], *, direct: bool
) -> list[tuple[Any, ...]]:
    """Run a statement in the transaction that is open on Django's own connection."""
    kind = _Preparing if direct else psycopg.Cursor
    return kind(wrapper.connection).execute(statement, values).fetchall()


def adapted(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameters as psycopg takes them: as they are."""
    return values


def cursor(connection: BaseDatabaseWrapper, *, direct: bool) -> CursorWrapper:
    """A cursor on a connection of Django's, for statements of ours in the transaction that
    is open there.

    direct: see :func:`taskq.leases.connect`. Then the server keeps our statements parsed
        and planned, which takes as long as running them does.
    """
    wrapper = connection.cursor()
    # Inside of Django's wrapper, which guards, counts and logs as ever. What is inside of
    # somebody else's we do not know.
    if direct and isinstance(wrapper.cursor, psycopg.Cursor):
        wrapper.cursor = _Preparing(connection.connection)
    return wrapper


class _Preparing(psycopg.Cursor[Any]):
    """Prepares its statements on a connection that else prepares none, as Django's do."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        connection = self.connection
        before, connection.prepare_threshold = connection.prepare_threshold, PREPARE_AFTER
        try:
            return super().execute(query, params, **options)
        finally:
            connection.prepare_threshold = before


class Connection:
    """A connection of the queue's own. psycopg's lock lets two threads share it."""

    def __init__(self, wrapper: BaseDatabaseWrapper, *, direct: bool) -> None:
        self._wrapper = wrapper
        self._raw: psycopg.Connection[Any] = wrapper.connection
        self._raw.autocommit = True
        if direct:
            # Statistics of a queue are out of date the moment they are taken, and a plan
            # made while it was empty reads all of it when it is full. Each of our
            # statements has an index that is right whatever the sizes, and so needs no
            # plan of its own for each set of values: to make one takes longer than to run it.
            self._raw.prepare_threshold = PREPARE_AFTER
            self._raw.execute(
                "SET enable_seqscan = off; SET enable_bitmapscan = off; "
                "SET plan_cache_mode = force_generic_plan"
            )

    def rows(self, statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        # Not Django's cursor: parameters are bound by the server, unquoted.
        return psycopg.Cursor(self._raw).execute(statement, values).fetchall()

    def count(self, statement: str, values: dict[str, Any]) -> int:
        return psycopg.Cursor(self._raw).execute(statement, values).rowcount

    def batch(self, *calls: Call) -> list[list[tuple[Any, ...]]]:
        if len(calls) == 1:
            return [self.rows(*calls[0])]
        # Without a sync in between, the server runs them as one transaction.
        with self._raw.pipeline():
            cursors = [psycopg.Cursor(self._raw).execute(*call) for call in calls]
            return [cursor.fetchall() for cursor in cursors]

    def transaction(self) -> AbstractContextManager[object]:
        return self._raw.transaction()

    def listen(self) -> None:
        psycopg.Cursor(self._raw).execute(f"LISTEN {CHANNEL}")

    def fileno(self) -> int | None:
        return self._raw.fileno()

    def woken(self) -> Counter[str]:
        return Counter(notify.payload for notify in self._raw.notifies(timeout=0))

    def close(self) -> None:
        self._wrapper.close()
