"""How many tasks wait in each lane of PostgreSQL, at a cost that does not grow with them."""

from __future__ import annotations

from taskq.sql.in_both import BOUND, LANES_OF_WAITING, STANDS_STILL, waiting

# A loose index scan of taskq_task_ready, as for a claim (claims.py), but paused queues are in it
# too. Then each lane reads at most as many entries of the index as are counted, due ones and later
# ones apart. The order keeps the planner on the index: it does not know how low the limit is. Locks
# nothing. Each row also says whether a workflow stands still. Where nothing waits, there is one row
# without a queue for that.
DEPTHS = f"""
WITH RECURSIVE {waiting()}, {LANES_OF_WAITING}, shown AS MATERIALIZED (
    SELECT queue, priority FROM lane WHERE priority IS NOT NULL LIMIT %(lanes)s
), bound AS MATERIALIZED (
    SELECT {BOUND} AS most FROM shown
), workflow AS MATERIALIZED (
    SELECT {STANDS_STILL} AS stands_still
)
SELECT shown.queue, shown.priority, bound.most,
       (SELECT count(*) FROM (
           SELECT FROM taskq_task
           WHERE state = 0 AND queue = shown.queue AND priority = shown.priority
             AND execute_at <= statement_timestamp()
           ORDER BY execute_at LIMIT (SELECT most + 1 FROM bound)
       ) AS due),
       (SELECT count(*) FROM (
           SELECT FROM taskq_task
           WHERE state = 0 AND queue = shown.queue AND priority = shown.priority
             AND execute_at > statement_timestamp()
           ORDER BY execute_at LIMIT (SELECT most + 1 FROM bound)
       ) AS later),
       extract(epoch FROM statement_timestamp())::float8
       - extract(epoch FROM first.execute_at)::float8,
       first.id, first.name,
       EXISTS (SELECT FROM taskq_pausedqueue AS paused WHERE paused.queue = shown.queue),
       workflow.stands_still
FROM workflow LEFT JOIN (
    shown CROSS JOIN bound
    CROSS JOIN LATERAL (
        SELECT execute_at, id, name FROM taskq_task
        WHERE state = 0 AND queue = shown.queue AND priority = shown.priority
        ORDER BY execute_at, id LIMIT 1
    ) AS first
) ON true
ORDER BY first.execute_at, first.id
"""
