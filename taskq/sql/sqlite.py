"""The queue in SQLite, for development and small sites.

There is one writer at a time: a writing statement takes the database's write
lock before it reads, so each is as safe as PostgreSQL's row locks make it, and
FOR UPDATE or SKIP LOCKED have no place. The clock is that of the one host.
Lists come as JSON arrays.
"""

from __future__ import annotations

import datetime
import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from taskq.sql import CANCEL, CANCELLED, HISTORY_LENGTH, LOST, REPLACED, WORK, Call

_NOW = "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"


def _later(seconds: str) -> str:
    """SQL for the time in so many seconds; NULL for NULL."""
    return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', printf('%%+.3f seconds', {seconds}))"


def _later_or_null(seconds: str) -> str:
    # printf turns NULL into 0.
    return f"CASE WHEN {seconds} IS NOT NULL THEN {_later(seconds)} END"


_DUE_AND_EXPIRY = f"""
    coalesce(%(eta)s, {_later("%(delay)s")}),
    coalesce(%(expires)s, {_later_or_null("%(lifetime)s")})
"""

ENQUEUE = f"""
INSERT INTO taskq_task (name, payload, queue, priority, max_losses, execute_at, expires_at)
VALUES (
    %(name)s, %(payload)s, %(queue)s, %(priority)s, %(max_losses)s, {_DUE_AND_EXPIRY}
)
RETURNING id
"""

ENQUEUE_MANY = f"""
INSERT INTO taskq_task (name, payload, queue, priority, max_losses, execute_at, expires_at)
SELECT %(name)s, value, %(queue)s, %(priority)s, %(max_losses)s, {_DUE_AND_EXPIRY}
FROM json_each(%(payloads)s) ORDER BY key
RETURNING id
"""

# A pool sees every commit in the file.
WAKE = None
TELL_CANCELLED = None

# By taskq_task_ready, as in PostgreSQL.
LANES = f"""
WITH RECURSIVE waiting AS (
    SELECT min(queue) AS queue FROM taskq_task WHERE state = 0 AND %(queues)s IS NULL
    UNION ALL
    SELECT (SELECT min(queue) FROM taskq_task WHERE state = 0 AND queue > waiting.queue)
    FROM waiting WHERE waiting.queue IS NOT NULL
), served AS (
    SELECT queue FROM waiting WHERE queue IS NOT NULL
    UNION ALL SELECT value FROM json_each(%(queues)s)
), lane AS (
    SELECT served.queue, (
        SELECT max(priority) FROM taskq_task WHERE state = 0 AND queue = served.queue
    ) AS priority
    FROM served
    WHERE NOT EXISTS (SELECT 1 FROM taskq_pausedqueue AS paused WHERE paused.queue = served.queue)
    UNION ALL
    SELECT lane.queue, (
        SELECT max(priority) FROM taskq_task
        WHERE state = 0 AND queue = lane.queue AND priority < lane.priority
    )
    FROM lane WHERE lane.priority IS NOT NULL
), head AS (
    SELECT lane.queue, lane.priority, (
        SELECT id FROM taskq_task
        WHERE state = 0 AND queue = lane.queue AND priority = lane.priority
        ORDER BY execute_at, id LIMIT 1
    ) AS id
    FROM lane WHERE lane.priority IS NOT NULL
)
SELECT head.queue, head.priority, (julianday(task.execute_at) - julianday({_NOW})) * 86400.0,
       task.execute_at || '', task.id
FROM head JOIN taskq_task AS task ON task.id = head.id
ORDER BY head.priority DESC, task.execute_at, task.id
"""

CLAIM = f"""
UPDATE taskq_task
SET state = 1, worker_id = %(worker)s, attempt = attempt + 1, started_at = {_NOW},
    unique_key = CASE WHEN unique_until = 'finish' THEN unique_key END
WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER sequence AS place, min(quick) OVER sequence AS quick
        FROM (
            SELECT id, execute_at,
                   name IN (SELECT value FROM json_each(%(quick)s)) AND NOT isolated AS quick
            FROM taskq_task
            WHERE state = 0 AND queue = %(queue)s AND priority = %(priority)s
              AND execute_at <= {_NOW}
              AND (execute_at, id) >= (%(from_due)s, %(from_id)s)
            ORDER BY execute_at, id LIMIT %(limit)s
        ) WINDOW sequence AS (ORDER BY execute_at, id)
    ) WHERE place = 1 OR quick
) AND EXISTS (SELECT 1 FROM taskq_worker WHERE id = %(worker)s AND lease_expires_at > {_NOW})
RETURNING execute_at || printf('%%20d', id), id, attempt, name, payload, queue, retries, losses,
          coalesce(expires_at <= {_NOW}, 0),
          (julianday({_NOW}) - julianday(unknown_since)) * 86400.0,
          scheduled_at, NULL
"""

_WHO = "(SELECT pool || '/' || name || '/' || id FROM taskq_worker WHERE id = %(worker)s)"


def _history(kind: str, traceback: str) -> str:
    return f"""
        CASE WHEN length(history) < {HISTORY_LENGTH} THEN history || char(10) ELSE '' END
        || json_object('worker', {_WHO}, 'error', {kind}, 'traceback', {traceback},
                       'started_at', started_at)
    """


_FENCE = "WHERE id = %(id)s AND attempt = %(attempt)s AND state = 1 AND worker_id = %(worker)s"

_FENCES = """
WHERE id IN (SELECT value FROM json_each(%(ids)s))
  AND attempt = %(attempt)s AND state = 1 AND worker_id = %(worker)s
"""

FINISH = f"DELETE FROM taskq_task {_FENCES} RETURNING id"

# Two statements in one transaction: a DELETE can be no part of an INSERT here.
KEEP = (
    f"""
INSERT INTO taskq_result (id, name, payload, queue, priority, created_at, started_at, history,
                          finished_at, worker, value)
SELECT id, name, payload, queue, priority, created_at, started_at, history,
       {_NOW}, {_WHO}, %(value)s
FROM taskq_task {_FENCE}
ON CONFLICT (id) DO UPDATE SET {REPLACED}
RETURNING id
""",
    f"DELETE FROM taskq_task {_FENCE} RETURNING id",
)

_BACK = f"""
    state = CASE WHEN cancelled_at IS NULL THEN 0 ELSE 2 END,
    failed_at = CASE WHEN cancelled_at IS NOT NULL THEN {_NOW} END,
    worker_id = NULL, started_at = NULL
"""

GIVE_BACK = f"UPDATE taskq_task SET {_BACK} {_FENCES} RETURNING id"

PROGRESS = f"UPDATE taskq_task SET progress = %(progress)s {_FENCE} RETURNING id"

CANCELLED_RUNS = """
SELECT worker_id, id, attempt FROM taskq_task
WHERE state = 1 AND cancelled_at IS NOT NULL
  AND worker_id IN (SELECT value FROM json_each(%(workers)s))
"""

_HISTORY = f"""
    history = CASE WHEN %(kind)s IS NULL THEN history
                   ELSE {_history("%(kind)s", "%(traceback)s")} END
"""

RETRY = f"""
UPDATE taskq_task
SET {_BACK}, retries = retries + 1,
    execute_at = coalesce(%(when)s, {_later("%(delay)s")}),
    error = %(error)s, traceback = %(traceback)s, {_HISTORY}
{_FENCE}
"""

FAIL = f"""
UPDATE taskq_task
SET state = 2, worker_id = NULL, failed_at = {_NOW},
    error = %(error)s, traceback = %(traceback)s, {_HISTORY}
{_FENCE}
"""

DEFER = f"""
UPDATE taskq_task
SET {_BACK},
    unknown_since = coalesce(unknown_since, {_NOW}), execute_at = {_later("%(delay)s")}
{_FENCE}
"""

REGISTER = f"""
INSERT INTO taskq_worker (pool, host, name, pid, lease_expires_at)
SELECT %(pool)s, %(host)s, names.value, pids.value, {_later("%(lease)s")}
FROM json_each(%(names)s) AS names JOIN json_each(%(pids)s) AS pids ON pids.key = names.key
RETURNING pid, id
"""

RENEW = f"""
UPDATE taskq_worker SET lease_expires_at = {_later("%(lease)s")}
WHERE id IN (SELECT value FROM json_each(%(workers)s)) AND lease_expires_at > {_NOW}
RETURNING id
"""

LISTENS = "UPDATE taskq_worker SET listens = %(listens)s WHERE id = %(worker)s"

EXPIRED = f"SELECT id FROM taskq_worker WHERE lease_expires_at <= {_NOW} ORDER BY id"

LOCK_WORKER = "SELECT pool, name FROM taskq_worker WHERE id = %(worker)s"
LOCK_EXPIRED_WORKER = f"{LOCK_WORKER} AND lease_expires_at <= {_NOW}"

HELD = "SELECT count(*), max(id) FROM taskq_task WHERE state = 1 AND worker_id = %(worker)s"

_BLAMED = "id = %(blamed)s"
_CANCELLED = "cancelled_at IS NOT NULL"
_ENDS = f"({_CANCELLED} OR {_BLAMED} AND losses + %(charge)s >= max_losses)"
_KIND = f"CASE WHEN {_CANCELLED} THEN {CANCELLED} ELSE {LOST} END"
_TOLD = f"({_BLAMED} AND ({_ENDS} OR %(charge)s > 0))"
# Not {_CANCELLED} in RETURNING: SQLite 3.40 says 1 there for a NULL.
TAKE_BACK = f"""
UPDATE taskq_task
SET state = CASE WHEN {_ENDS} THEN 2 ELSE 0 END,
    failed_at = CASE WHEN {_ENDS} THEN {_NOW} END,
    losses = losses + CASE WHEN {_BLAMED} AND NOT {_CANCELLED} THEN %(charge)s ELSE 0 END,
    isolated = isolated OR {_BLAMED} OR %(suspect)s,
    error = CASE WHEN {_CANCELLED} THEN 'cancelled; its worker: ' || %(cause)s
                 WHEN {_TOLD} THEN %(cause)s ELSE error END,
    history = CASE WHEN {_TOLD} THEN {_history(_KIND, "%(cause)s")} ELSE history END,
    traceback = CASE WHEN {_ENDS} THEN '' ELSE traceback END,
    worker_id = NULL, started_at = NULL
WHERE state = 1 AND worker_id = %(worker)s
RETURNING id, name, losses, {_BLAMED}, state = 2, cancelled_at
"""

REMOVE_WORKER = """
DELETE FROM taskq_worker WHERE id = %(worker)s
  AND NOT EXISTS (SELECT 1 FROM taskq_task WHERE state = 1 AND worker_id = %(worker)s)
"""

PRUNE_RESULTS = f"""
DELETE FROM taskq_result WHERE id IN (
    SELECT id FROM taskq_result WHERE finished_at < {_later("-%(ttl)s")}
    ORDER BY finished_at LIMIT %(limit)s
)
"""
PRUNE_FAILED = f"""
DELETE FROM taskq_task WHERE id IN (
    SELECT id FROM taskq_task WHERE state = 2 AND failed_at < {_later("-%(ttl)s")}
    ORDER BY failed_at LIMIT %(limit)s
)
"""
PRUNE_KEYS = f"""
DELETE FROM taskq_idempotencykey WHERE id IN (
    SELECT id FROM taskq_idempotencykey WHERE created_at < {_later("-%(ttl)s")}
    ORDER BY created_at LIMIT %(limit)s
)
"""


def connection_options(options: dict[str, Any], lease: float, name: str) -> dict[str, Any]:
    """The site's own options; a busy database is waited for as long as a lease allows."""
    return {"timeout": max(5.0, lease / 2), **options, "transaction_mode": None}


def rows_within(
    wrapper: BaseDatabaseWrapper, statement: str, values: dict[str, Any], *, direct: bool
) -> list[tuple[Any, ...]]:
    """Run a statement in the transaction that is open on Django's own connection."""
    with wrapper.cursor() as cursor:
        cursor.execute(statement, adapted(values))
        return list(cursor.fetchall())


_ANYTHING = (WORK, CANCEL)


class Connection:
    """A connection of the queue's own, which two threads may share under its lock."""

    def __init__(self, wrapper: BaseDatabaseWrapper, *, direct: bool) -> None:
        self._wrapper = wrapper
        self._lock = threading.RLock()
        # Kept in the file: readers and the writer do not wait for each other.
        self._execute("PRAGMA journal_mode = WAL", {})
        self._version = self._data_version()

    def rows(self, statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        with self._lock:
            return list(self._execute(statement, values).fetchall())

    def count(self, statement: str, values: dict[str, Any]) -> int:
        with self._lock:
            return int(self._execute(statement, values).rowcount)

    def batch(self, *calls: Call) -> list[list[tuple[Any, ...]]]:
        with self.transaction():
            return [self.rows(*call) for call in calls]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._lock:
            self._execute("BEGIN IMMEDIATE", {})
            try:
                yield
            except BaseException:
                self._execute("ROLLBACK", {})
                raise
            self._execute("COMMIT", {})

    def listen(self) -> None:
        """Nothing to ask for: :meth:`woken` sees every commit."""

    def fileno(self) -> int | None:
        return None

    def woken(self) -> Counter[str]:
        """What it may have been for, if anyone else committed since the last call; costs no
        lock and no I/O."""
        with self._lock:
            before, self._version = self._version, self._data_version()
            return Counter(_ANYTHING if before != self._version else ())

    def close(self) -> None:
        self._wrapper.close()

    def _data_version(self) -> int:
        return int(self._execute("PRAGMA data_version", {}).fetchone()[0])

    def _execute(self, statement: str, values: dict[str, Any]) -> Any:
        # The cursor below Django's logging and thread checks; %(name)s is its style.
        cursor = self._wrapper.create_cursor()
        if not values:
            return cursor.execute(statement.replace("%%", "%"))
        return cursor.execute(statement, adapted(values))


def adapted(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parameters as SQLite takes them: lists as JSON, times as Django stores them."""
    return {name: _adapted(value) for name, value in values.items()}


def _adapted(value: Any) -> Any:
    if isinstance(value, list):
        return json.dumps(value)
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(" ")
    return value


def cursor(connection: BaseDatabaseWrapper, *, direct: bool) -> CursorWrapper:
    """A cursor on a connection of Django's. The driver keeps its statements prepared."""
    return connection.cursor()
