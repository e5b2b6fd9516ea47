"""SQL that is the same in both databases: parts of their statements, and a few whole statements."""

from __future__ import annotations

#: Remove a task that has not started. The state is checked again on the locked
#: row, so a claim that comes first wins. Primary key look-up.
REVOKE = "DELETE FROM taskq_task WHERE id = %(id)s AND state IN (0, 3)"


def waiting(more: str = "") -> str:
    """A CTE of the queues in which tasks wait; the last one is NULL. It is a loose index scan of
    taskq_task_ready, with one probe for each queue.

    more: a further condition.
    """
    return f"""waiting AS (
    SELECT min(queue) AS queue FROM taskq_task WHERE state = 0{more}
    UNION ALL
    SELECT (SELECT min(queue) FROM taskq_task WHERE state = 0 AND queue > waiting.queue{more})
    FROM waiting WHERE waiting.queue IS NOT NULL
)"""


#: A CTE of the lanes of at most so many of these queues, with one probe for each; the last one of a
#: queue has no priority.
LANES_OF_WAITING = """lane AS (
    SELECT named.queue, (
        SELECT max(priority) FROM taskq_task WHERE state = 0 AND queue = named.queue
    ) AS priority
    FROM (SELECT queue FROM waiting WHERE queue IS NOT NULL LIMIT %(lanes)s) AS named
    UNION ALL
    SELECT lane.queue, (
        SELECT max(priority) FROM taskq_task
        WHERE state = 0 AND queue = lane.queue AND priority < lane.priority
    )
    FROM lane WHERE lane.priority IS NOT NULL
)"""

#: The names of some queues in which tasks wait: a loose index scan of taskq_task_ready, with one
#: probe for each queue, however many tasks wait in it. Locks nothing.
WAITING_QUEUES = f"""
WITH RECURSIVE {waiting()}
SELECT queue FROM waiting WHERE queue IS NOT NULL LIMIT %(limit)s
"""

#: The workers that hold tasks, as ``held.id``; the last one is NULL. A loose index scan of
#: taskq_task_running, with one probe for each of them. Locks nothing.
HOLDING_WORKERS = """WITH RECURSIVE held AS (
    SELECT min(worker_id) AS id FROM taskq_task WHERE state = 1
    UNION ALL
    SELECT (SELECT min(worker_id) FROM taskq_task WHERE state = 1 AND worker_id > held.id)
    FROM held WHERE held.id IS NOT NULL
)"""

#: Of each lane at most so many tasks are counted, due ones and later ones apart: together some
#: thousands, which the database reads in a few milliseconds.
BOUND = "CASE WHEN count(*) <= 2 THEN 10000 WHEN count(*) <= 20 THEN 1000 ELSE 100 END"

#: Whether a workflow stands still: a step of it has failed, and no other is due, waits for its time
#: or runs. The newest failed steps are looked at, by taskq_task_step_failed; of each its workflow,
#: by primary key, and one step, by taskq_task_workflow. With NOT EXISTS the server might read all
#: steps into a hash. Locks nothing.
STANDS_STILL = """EXISTS (
    SELECT 1 FROM (
        SELECT workflow_id FROM taskq_task
        WHERE state = 2 AND workflow_id IS NOT NULL AND cancelled_at IS NULL
        ORDER BY workflow_id DESC LIMIT 5000
    ) AS failed
    WHERE (
        SELECT 1 FROM taskq_workflow AS flow
        WHERE flow.id = failed.workflow_id AND finished_at IS NULL AND cancelled_at IS NULL
    ) = 1 AND (
        SELECT 1 FROM taskq_task AS step
        WHERE step.workflow_id = failed.workflow_id AND step.state IN (0, 1) LIMIT 1
    ) IS NULL
)"""

#: The most characters of a task's history. A longer one starts again with the next run.
HISTORY_LENGTH = 256 * 1024

#: In a history, the error class of a run whose worker was lost, as an SQL literal.
LOST = "'taskq.exceptions.WorkerLost'"

#: The same for a run that ended because its task was cancelled.
CANCELLED = "'taskq.exceptions.TaskCancelled'"

#: Pool, host, name and pid of a worker that holds tasks but has no row.
UNKNOWN_WORKER = "'an unknown pool', '', 'a worker', 0"

#: The columns that a new result replaces in an older one with the same id.
REPLACED = ", ".join(
    f"{column} = excluded.{column}"
    for column in "name payload queue priority created_at run_after started_at history "
    "finished_at worker value".split()
)

#: The columns of a finished task that it has from the task's row.
OF_THE_TASK = (
    "id, name, payload, queue, priority, created_at, execute_at, run_after, started_at, attempt, "
    "retries, history"
)

#: The columns of a loss, but for its time, and their values.
LOSS_COLUMNS = (
    "pool, host, worker, pid, task_id, attempt, name, queue, cause, place, stack, memory, runs, "
    "version"
)
LOSS_VALUES = ", ".join(f"%({column})s" for column in LOSS_COLUMNS.split(", "))
