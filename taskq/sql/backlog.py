"""How many tasks wait before another one.

For each lane one bounded probe of taskq_task_ready, whatever the backlog. Locks nothing. ``lanes``
is JSON: a list of queues and priorities, in pairs. Before a task are the due tasks of a higher
priority, and those of its own priority that are due earlier, of its own queue or another.
"""

from __future__ import annotations

from taskq.sql.sqlite.time import NOW


def _before(lanes: str, now: str) -> str:
    """lanes: a row for each lane, with ``queue`` and ``priority``. now: the database's clock."""
    return f"""
SELECT lane.queue, lane.priority, (
    SELECT count(*) FROM (
        SELECT 1 FROM taskq_task AS task
        WHERE task.state = 0 AND task.queue = lane.queue AND task.priority = lane.priority
          AND (task.execute_at, task.id) < (
              CASE WHEN lane.priority > mine.priority THEN {now} ELSE mine.execute_at END,
              CASE WHEN lane.priority > mine.priority THEN 9223372036854775807 ELSE mine.id END
          )
        LIMIT %(limit)s
    ) AS counted
)
FROM taskq_task AS mine CROSS JOIN {lanes} AS lane
WHERE mine.id = %(id)s
"""


#: The statement by vendor: queue, priority, and how many tasks of this lane, at most ``limit``.
BEFORE = {
    "postgresql": _before(
        "(SELECT pair ->> 0 AS queue, (pair ->> 1)::smallint AS priority "
        "FROM json_array_elements(%(lanes)s::json) AS pair)",
        "statement_timestamp()",
    ),
    "sqlite": _before(
        "(SELECT json_extract(value, '$[0]') AS queue, json_extract(value, '$[1]') AS priority "
        "FROM json_each(%(lanes)s))",
        NOW,
    ),
}
