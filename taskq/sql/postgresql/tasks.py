"""The tasks in PostgreSQL: what a worker holds, and how a run ends.

All statements run in READ COMMITTED, most of them alone in autocommit. Times are the database's:
``statement_timestamp()`` where an index must be able to use it (it is stable), and
``clock_timestamp()`` for lease ends, which must not depend on when a transaction began.
"""

from __future__ import annotations

from taskq.sql.in_both import HISTORY_LENGTH, OF_THE_TASK, REPLACED

#: How a worker is named after its row is gone.
_WHO = "(SELECT pool || '/' || name || '/' || id FROM taskq_worker WHERE id = %(worker)s)"


def history(kind: str, traceback: str) -> str:
    """A task's history with the ended run added: one line of JSON for each run."""
    return f"""
        CASE WHEN length(task.history) < {HISTORY_LENGTH} THEN task.history || E'\\n' ELSE '' END
        || json_build_object('worker', {_WHO}, 'error', {kind}, 'traceback', {traceback},
                             'started_at', task.started_at)::text
    """


# The fence: the id by primary key, then worker and attempt on the locked row. A statement for many
# tasks takes one attempt: joining a list of attempts is five times as slow while the statistics do
# not know of running tasks yet. "+ 0" keeps the planner from taskq_task_running: while an old
# snapshot is open, that index has an entry for each task that this worker ever ran.
_HELD = "attempt = %(attempt)s AND worker_id = %(worker)s AND state + 0 = 1"
_FENCE = f"WHERE id = %(id)s AND {_HELD}"
_FENCES = f"WHERE id = ANY (%(ids)s) AND {_HELD}"

# Uses the primary key, under the fence. Locks nothing.
HOLDS = f"SELECT id FROM taskq_task {_FENCE}"

FINISH = f"DELETE FROM taskq_task {_FENCES} RETURNING id"
# One task, in a Django transaction: there, a list would be planned again each time. In such a
# transaction this and KEEP_ONE name their tables' schema, and all functions are in pg_catalog.
FINISH_ONE = f"DELETE FROM taskq_task {_FENCE} RETURNING id"

# For a worker that is gone, before the endings of its runs are written in the same transaction. A
# row that another transaction has locked (a cancel) is skipped, because a keeper waits for nobody.
# STILL_HELD tells which rows those were, by the same index and without a lock.
LOCK_IF_FREE = f"SELECT id FROM taskq_task {_FENCES} FOR UPDATE SKIP LOCKED"
STILL_HELD = f"SELECT id FROM taskq_task {_FENCES}"

# Before the ends of several steps are written, by several statements whose plans may take the rows
# in any order: by the primary key, in order of id. Returns nothing.
LOCK_IN_ORDER = """
WITH locked AS MATERIALIZED (
    SELECT id FROM taskq_task WHERE id = ANY (%(ids)s) ORDER BY id FOR UPDATE
)
SELECT id FROM locked WHERE id IS NULL
"""


def _of(column: str, id: str = "task.id") -> str:
    """A task's value in the list of a column. The list of ids is sorted, so that the place in it is
    found by halving, and not by a join of two lists whose lengths no plan knows."""
    return f"(%({column})s::text[])[pg_catalog.width_bucket({id}, %(ids)s::bigint[])]"


def _keep(fence: str, value: str) -> str:
    # Uses the primary keys of both tables. An id exists already only if a sequence was set back.
    return f"""
WITH done AS (
    DELETE FROM taskq_task {fence}
    RETURNING id, name, payload, queue, priority, created_at, run_after, started_at, history
)
INSERT INTO taskq_result (id, name, payload, queue, priority, created_at, run_after, started_at,
                          history, finished_at, worker, value)
SELECT done.*, pg_catalog.clock_timestamp(), {_WHO}, {value} FROM done
ON CONFLICT (id) DO UPDATE SET {REPLACED}
RETURNING id
"""


KEEP = (_keep(_FENCES, _of("value", "done.id")),)
KEEP_ONE = (_keep(_FENCE, "%(value)s"),)


_OF_A_RESULT = (
    "id, name, payload, queue, priority, created_at, run_after, started_at, history, finished_at, "
    "worker, value"
)


def _archive(fence: str, value: str, lifetime: str, passed: str = "") -> str:
    # One statement with two targets: a task that keeps its result has it in both tables. Uses the
    # primary keys of the task, the result and the partition. The parent is locked ROW EXCLUSIVE,
    # and of its partitions only those that get a row. The last day is that of UTC, on which the
    # lifetime ends. The conflict names no key: in a site's tests without migrations, Django makes a
    # plain table. An id exists already only if a sequence was set back, and only on the same day.
    return f"""
WITH done AS (
    DELETE FROM taskq_task {fence} RETURNING {OF_THE_TASK}
), {passed} ended AS (
    SELECT done.*, pg_catalog.clock_timestamp() AS finished_at, {_WHO} AS worker,
           {value} AS value, {lifetime}::float8 * interval '1 second' AS lifetime
    FROM done
), kept AS (
    INSERT INTO taskq_result ({_OF_A_RESULT})
    SELECT {_OF_A_RESULT} FROM ended WHERE value IS NOT NULL
    ON CONFLICT (id) DO UPDATE SET {REPLACED}
), archived AS (
    INSERT INTO taskq_finished ({OF_THE_TASK}, finished_at, worker, value, expires_on)
    SELECT {OF_THE_TASK}, finished_at, worker, value,
           ((finished_at + lifetime) AT TIME ZONE 'UTC')::date
    FROM ended WHERE lifetime IS NOT NULL
    ON CONFLICT DO NOTHING
)
SELECT id FROM done
"""


ARCHIVE = (_archive(_FENCES, _of("value", "done.id"), _of("lifetime", "done.id")),)
ARCHIVE_ONE = (_archive(_FENCE, "%(value)s::text", "%(lifetime)s"),)


def _passed(value: str, void: str = "edge.waits_for = 1") -> str:
    # The edges of a step's part, by taskq_edge_part: what waits for its failure waits in vain. Only
    # the end of the part itself writes them, so nobody waits for their locks.
    return f"""passed AS (
    UPDATE taskq_edge AS edge
    SET state = CASE WHEN {void} THEN 2 ELSE 1 END,
        value = CASE WHEN {void} THEN NULL ELSE {value} END
    FROM done WHERE edge.part_id = done.id AND edge.state = 0
),"""


# The end of a step of a workflow, in the same statement. Its result and its row among the finished
# ones are kept as far as it has any.
PASS = (
    _archive(
        _FENCES,
        _of("value", "done.id"),
        _of("lifetime", "done.id"),
        _passed(_of("passed", "done.id")),
    ),
)
PASS_ONE = (_archive(_FENCE, "%(value)s::text", "%(lifetime)s", _passed("%(passed)s::text")),)


def _dropped(drops: str) -> str:
    # It has a bit for each kind of edge that is void, beside those for a failure.
    return f"(({drops}::int | 2) >> edge.waits_for) & 1 = 1"


# The same for a run that drops some of what would follow it.
PASS_SOME = (
    _archive(
        _FENCES,
        _of("value", "done.id"),
        _of("lifetime", "done.id"),
        _passed(_of("passed", "done.id"), _dropped(_of("drops", "done.id"))),
    ),
)
PASS_SOME_ONE = (
    _archive(
        _FENCE,
        "%(value)s::text",
        "%(lifetime)s",
        _passed("%(passed)s::text", _dropped("%(drops)s")),
    ),
)


# Only tasks that keep their result have a history. For others no error class is given.
def _history(kind: str, traceback: str) -> str:
    return f"""
    history = CASE WHEN {kind} IS NULL THEN task.history
                   ELSE {history(kind, traceback)} END
"""


_ENDED = f"""
    error = {_of("error")}, traceback = {_of("traceback")},
    {_history(_of("kind"), _of("traceback"))}
"""

# The columns of a task that goes back to wait, unless it was cancelled meanwhile.
_BACK = """
    state = CASE WHEN cancelled_at IS NULL THEN 0 ELSE 2 END,
    failed_at = CASE WHEN cancelled_at IS NOT NULL THEN clock_timestamp() END,
    worker_id = NULL, started_at = NULL
"""


def _retry(expires: str, changed: str = "") -> str:
    return f"""
UPDATE taskq_task AS task
SET {_BACK}, retries = least(retries, 2147483646) + 1, expires_at = {expires},
    unknown_since = NULL, {changed}
    execute_at = coalesce({_of("due")}::timestamptz,
                          clock_timestamp() + {_of("delay")}::float8 * interval '1 second'),
    {_ENDED}
{_FENCES}
RETURNING id
"""


# The expiry is removed because the task started in time, and unknown_since because it is known.
RETRY = _retry("NULL")
# A retry that changes its call, in the same statement: a worker has the old call or the new one.
RETRY_CHANGED = _retry(
    f"""coalesce({_of("expires")}::timestamptz,
                 clock_timestamp() + {_of("lifetime")}::float8 * interval '1 second')""",
    f"""payload = coalesce({_of("payload")}, payload), queue = coalesce({_of("queue")}, queue),
    priority = coalesce({_of("priority")}::smallint, priority),""",
)

FAIL = f"""
UPDATE taskq_task AS task
SET state = 2, worker_id = NULL, failed_at = clock_timestamp(), expires_at = NULL, {_ENDED}
{_FENCES}
RETURNING id
"""

# The failure of a step that no errback is told. By taskq_edge_part.
FAIL_UNHEARD = (
    f"""
WITH failed AS ({FAIL}), unheard AS (
    UPDATE taskq_edge AS edge SET state = 2
    FROM failed WHERE edge.part_id = failed.id AND edge.state = 0 AND edge.waits_for = 1
)
SELECT id FROM failed
""",
)

# For a database that refuses the full outcome: this writes none of the task's own texts.
FAIL_PLAINLY = f"""
UPDATE taskq_task
SET state = 2, worker_id = NULL, failed_at = clock_timestamp(), expires_at = NULL,
    error = %(error)s, traceback = ''
{_FENCE}
"""

# A loss, as in leases.RECLAIM, for a run whose worker lives.
_ENDS = "(cancelled_at IS NOT NULL OR losses::int + 1 >= max_losses)"
LOSE = f"""
UPDATE taskq_task AS task
SET state = CASE WHEN {_ENDS} THEN 2 ELSE 0 END,
    failed_at = CASE WHEN {_ENDS} THEN clock_timestamp() END,
    execute_at = CASE WHEN {_ENDS} THEN execute_at
                      ELSE clock_timestamp() + %(delay)s * interval '1 second' END,
    losses = least(32767, losses::int + 1), expires_at = NULL, unknown_since = NULL,
    worker_id = NULL, started_at = NULL,
    error = %(error)s, traceback = %(traceback)s,
    {_history("%(kind)s::text", "%(traceback)s::text")}
{_FENCE}
RETURNING losses, state = 2
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

# From the keeper, for a worker whose run takes long. Rows that others have locked are skipped.
GIVE_BACK_IF_FREE = f"""
UPDATE taskq_task SET {_BACK} WHERE id = ANY (ARRAY(
    SELECT id FROM taskq_task {_FENCES} FOR NO KEY UPDATE SKIP LOCKED
)) RETURNING id
"""

# The tasks that a worker holds, from taskq_task_running. Locks nothing.
HELD_BY = "SELECT id, attempt FROM taskq_task WHERE state = 1 AND worker_id = %(worker)s"

# Uses the primary key, under the fence. No indexed column changes, so no index is written (HOT).
PROGRESS = f"UPDATE taskq_task SET progress = %(progress)s {_FENCE} RETURNING id"
# A row that another transaction has locked (a cancel, say) is skipped, because a keeper waits for
# nobody.
PROGRESS_IF_FREE = f"""
UPDATE taskq_task SET progress = %(progress)s
WHERE id = (SELECT id FROM taskq_task {_FENCE} FOR NO KEY UPDATE SKIP LOCKED)
RETURNING id
"""

# As PROGRESS, and by the run itself.
SAY_STATE = f"UPDATE taskq_task SET own_state = %(said)s {_FENCE}"

# The runs of some workers that were asked to end, from taskq_task_cancelled. That index holds
# nothing else. Locks nothing.
CANCELLED_RUNS = """
SELECT worker_id, id, attempt FROM taskq_task
WHERE state = 1 AND cancelled_at IS NOT NULL AND worker_id = ANY (%(workers)s)
"""

# Which workers hold these tasks now, and for which attempt. By primary key. Locks nothing.
HELD_RUNS = "SELECT worker_id, id, attempt FROM taskq_task WHERE id = ANY (%(ids)s) AND state = 1"
