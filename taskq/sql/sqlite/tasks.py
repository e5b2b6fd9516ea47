"""The tasks in SQLite, for small sites and development; postgresql/tasks.py explains the SQL.

There is one writer at a time. A writing statement takes the database's write lock before it reads,
so it is as safe as PostgreSQL's row locks make it. FOR UPDATE and SKIP LOCKED are not needed. The
clock is the host's. Lists come as JSON arrays.
"""

from __future__ import annotations

from taskq.sql.in_both import HISTORY_LENGTH, OF_THE_TASK, REPLACED
from taskq.sql.sqlite.cast import INTEGER
from taskq.sql.sqlite.time import NOW, later, later_or_null

# A cell can hold a value of any type. A value in place of a number is cast to a number. A queue of
# bytes is no pool's queue, and all such queues sort after the texts.
RETRIES, LOSSES, MAX_LOSSES = (INTEGER.format(name) for name in ("retries", "losses", "max_losses"))
_WHO = "(SELECT pool || '/' || name || '/' || id FROM taskq_worker WHERE id = %(worker)s)"


def history(kind: str, traceback: str) -> str:
    return f"""
        CASE WHEN length(history) < {HISTORY_LENGTH} THEN history || char(10) ELSE '' END
        || json_object('worker', {_WHO}, 'error', {kind}, 'traceback', {traceback},
                       'started_at', started_at)
    """


_HELD = "attempt = %(attempt)s AND state = 1 AND worker_id = %(worker)s"
_THESE = "id IN (SELECT value FROM json_each(%(ids)s))"
_FENCE = f"WHERE id = %(id)s AND {_HELD}"
_FENCES = f"WHERE {_THESE} AND {_HELD}"

# Uses the primary key, under the fence. Locks nothing.
HOLDS = f"SELECT id FROM taskq_task {_FENCE}"

FINISH = f"DELETE FROM taskq_task {_FENCES} RETURNING id"
FINISH_ONE = f"DELETE FROM taskq_task {_FENCE} RETURNING id"
LOCK_IF_FREE = f"SELECT id FROM taskq_task {_FENCES}"
STILL_HELD = None  # SQLite has no row locks, so none is skipped
LOCK_IN_ORDER = None


def _copy_result(fence: str, value: str, more: str) -> str:
    return f"""
        INSERT INTO taskq_result (id, name, payload, queue, priority, created_at, run_after,
                                  started_at, history, finished_at, worker, value)
        SELECT task.id, name, payload, queue, priority, created_at, run_after,
               started_at, history, {NOW}, {_WHO}, {value}
        FROM taskq_task AS task {more} {fence.replace("WHERE id", "WHERE task.id")}
          AND {value} IS NOT NULL
        ON CONFLICT (id) DO UPDATE SET {REPLACED}
    """


def _undo(copied: str, these: str) -> str:
    return f"""
        DELETE FROM {copied} WHERE {these}
        AND EXISTS (SELECT 1 FROM taskq_task AS task WHERE task.id = {copied}.id AND {_HELD})
    """


def _keep(fence: str, value: str, these: str, more: str = "") -> tuple[str, ...]:
    """Three statements in one transaction, because in SQLite a DELETE cannot be part of an INSERT.
    The last one undoes the first where a trigger has kept the row."""
    return (
        _copy_result(fence, value, more),
        f"DELETE FROM taskq_task {fence} RETURNING id",
        _undo("taskq_result", these),
    )


def _archive(fence: str, value: str, lifetime: str, these: str, more: str = "") -> tuple[str, ...]:
    return (
        f"""
        INSERT INTO taskq_finished ({OF_THE_TASK}, finished_at, worker, value, expires_on)
        SELECT task.{OF_THE_TASK}, {NOW}, {_WHO}, {value}, substr({later(lifetime)}, 1, 10)
        FROM taskq_task AS task {more} {fence.replace("WHERE id", "WHERE task.id")}
          AND {lifetime} IS NOT NULL
        ON CONFLICT (id) DO NOTHING
        """,
        _copy_result(fence, value, more),
        f"DELETE FROM taskq_task {fence} RETURNING id",
        _undo("taskq_finished", these),
        _undo("taskq_result", these),
    )


def _pass(
    fence: str,
    value: str,
    lifetime: str,
    passed: str,
    these: str,
    more: str = "",
    drops: str | None = None,
) -> tuple[str, ...]:
    """The edges first. A trigger that keeps the row leaves them done, and the step fails later."""
    part = fence.replace("WHERE id", "WHERE task.id")
    void = "waits_for = 1"
    if drops is not None:
        of_part = f"(SELECT {drops} FROM taskq_task AS task {more} WHERE task.id = part_id)"
        void = f"(({of_part} | 2) >> waits_for) & 1 = 1"
    return (
        f"""
        UPDATE taskq_edge
        SET state = CASE WHEN {void} THEN 2 ELSE 1 END,
            value = CASE WHEN {void} THEN NULL ELSE (
                SELECT {passed} FROM taskq_task AS task {more} WHERE task.id = part_id
            ) END
        WHERE taskq_edge.state = 0
          AND part_id IN (SELECT task.id FROM taskq_task AS task {more} {part})
        """,
        *_archive(fence, value, lifetime, these, more),
    )


def _of(column: str) -> str:
    """A task's value in the list of a column. SQLite keeps the parsed list."""
    return f"json_extract(%({column})s, '$[' || ended.key || ']')"


_ENDED_IDS = "JOIN json_each(%(ids)s) AS ended ON ended.value = task.id"
KEEP = _keep(_FENCES, _of("value"), _THESE, _ENDED_IDS)
KEEP_ONE = _keep(_FENCE, "%(value)s", "id = %(id)s")
ARCHIVE = _archive(_FENCES, _of("value"), _of("lifetime"), _THESE, _ENDED_IDS)
ARCHIVE_ONE = _archive(_FENCE, "%(value)s", "%(lifetime)s", "id = %(id)s")
PASS = _pass(_FENCES, _of("value"), _of("lifetime"), _of("passed"), _THESE, _ENDED_IDS)
PASS_ONE = _pass(_FENCE, "%(value)s", "%(lifetime)s", "%(passed)s", "id = %(id)s")
PASS_SOME = _pass(
    _FENCES, _of("value"), _of("lifetime"), _of("passed"), _THESE, _ENDED_IDS, _of("drops")
)
PASS_SOME_ONE = _pass(
    _FENCE, "%(value)s", "%(lifetime)s", "%(passed)s", "id = %(id)s", drops="%(drops)s"
)

_BACK = f"""
    state = CASE WHEN cancelled_at IS NULL THEN 0 ELSE 2 END,
    failed_at = CASE WHEN cancelled_at IS NOT NULL THEN {NOW} END,
    worker_id = NULL, started_at = NULL
"""

GIVE_BACK = f"UPDATE taskq_task SET {_BACK} {_FENCES} RETURNING id"

GIVE_BACK_IF_FREE = GIVE_BACK
HELD_BY = "SELECT id, attempt FROM taskq_task WHERE state = 1 AND worker_id = %(worker)s"

PROGRESS = f"UPDATE taskq_task SET progress = %(progress)s {_FENCE} RETURNING id"
PROGRESS_IF_FREE = PROGRESS  # SQLite has no row locks
SAY_STATE = f"UPDATE taskq_task SET own_state = %(said)s {_FENCE}"

CANCELLED_RUNS = """
SELECT worker_id, id, attempt FROM taskq_task
WHERE state = 1 AND cancelled_at IS NOT NULL
  AND worker_id IN (SELECT value FROM json_each(%(workers)s))
"""

HELD_RUNS = """
SELECT worker_id, id, attempt FROM taskq_task
WHERE id IN (SELECT value FROM json_each(%(ids)s)) AND state = 1
"""


def _history(kind: str, traceback: str) -> str:
    return f"history = CASE WHEN {kind} IS NULL THEN history ELSE {history(kind, traceback)} END"


_ENDED = f"""
    error = {_of("error")}, traceback = {_of("traceback")},
    {_history(_of("kind"), _of("traceback"))}
FROM json_each(%(ids)s) AS ended
WHERE taskq_task.id = ended.value AND {_HELD}
RETURNING taskq_task.id
"""


def _retry(expires: str, changed: str = "") -> str:
    return f"""
UPDATE taskq_task
SET {_BACK}, retries = min({RETRIES}, 2147483646) + 1, expires_at = {expires},
    unknown_since = NULL, {changed}
    execute_at = coalesce(replace({_of("due")}, '+00:00', ''), {later(_of("delay"))}),
{_ENDED}
"""


RETRY = _retry("NULL")
RETRY_CHANGED = _retry(
    f"coalesce(replace({_of('expires')}, '+00:00', ''), {later_or_null(_of('lifetime'))})",
    f"""payload = coalesce({_of("payload")}, payload), queue = coalesce({_of("queue")}, queue),
    priority = coalesce({_of("priority")}, priority),""",
)

FAIL = f"""
UPDATE taskq_task
SET state = 2, worker_id = NULL, failed_at = {NOW}, expires_at = NULL,
{_ENDED}
"""

FAIL_UNHEARD = (
    f"""
    UPDATE taskq_edge SET state = 2
    WHERE waits_for = 1 AND taskq_edge.state = 0
      AND part_id IN (SELECT id FROM taskq_task {_FENCES})
    """,
    FAIL,
)

FAIL_PLAINLY = f"""
UPDATE taskq_task
SET state = 2, worker_id = NULL, failed_at = {NOW}, expires_at = NULL,
    error = %(error)s, traceback = ''
{_FENCE}
"""

_ENDS = f"(cancelled_at IS NOT NULL OR {LOSSES} + 1 >= {MAX_LOSSES})"
LOSE = f"""
UPDATE taskq_task
SET state = CASE WHEN {_ENDS} THEN 2 ELSE 0 END,
    failed_at = CASE WHEN {_ENDS} THEN {NOW} END,
    execute_at = CASE WHEN {_ENDS} THEN execute_at ELSE {later("%(delay)s")} END,
    losses = min(32767, {LOSSES} + 1), expires_at = NULL, unknown_since = NULL,
    worker_id = NULL, started_at = NULL,
    error = %(error)s, traceback = %(traceback)s, {_history("%(kind)s", "%(traceback)s")}
{_FENCE}
RETURNING losses, state = 2
"""

DEFER = f"""
UPDATE taskq_task
SET {_BACK},
    unknown_since = coalesce(unknown_since, {NOW}), execute_at = {later("%(delay)s")}
{_FENCE}
"""
