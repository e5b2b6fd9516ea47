"""How many tasks wait in each lane of SQLite; postgresql/depths.py explains the SQL."""

from __future__ import annotations

from taskq.sql.in_both import BOUND, LANES_OF_WAITING, STANDS_STILL, waiting
from taskq.sql.sqlite.cast import INTEGER, TEXT
from taskq.sql.sqlite.time import NOW

_NO_BYTES = "queue < x''"
_IN_LANE = "state = 0 AND queue = shown.queue AND priority = shown.priority"

DEPTHS = f"""
WITH RECURSIVE {waiting(f" AND {_NO_BYTES}")}, {LANES_OF_WAITING}, shown AS MATERIALIZED (
    SELECT queue, priority, (
        SELECT id FROM taskq_task
        WHERE state = 0 AND queue = lane.queue AND priority = lane.priority
        ORDER BY execute_at, id LIMIT 1
    ) AS id
    FROM lane WHERE priority IS NOT NULL LIMIT %(lanes)s
), bound AS MATERIALIZED (
    SELECT {BOUND} AS most FROM shown
), workflow AS MATERIALIZED (
    SELECT {STANDS_STILL} AS stands_still
)
SELECT shown.queue, {INTEGER.format("shown.priority")}, bound.most,
       (SELECT count(*) FROM (
           SELECT 1 FROM taskq_task WHERE {_IN_LANE} AND execute_at <= {NOW}
           ORDER BY execute_at LIMIT (SELECT most + 1 FROM bound)
       )),
       (SELECT count(*) FROM (
           SELECT 1 FROM taskq_task WHERE {_IN_LANE} AND execute_at > {NOW}
           ORDER BY execute_at LIMIT (SELECT most + 1 FROM bound)
       )),
       (julianday({NOW}) - julianday(first.execute_at)) * 86400.0,
       first.id, {TEXT.format("first.name")},
       EXISTS (SELECT 1 FROM taskq_pausedqueue AS paused WHERE paused.queue = shown.queue),
       workflow.stands_still
FROM workflow LEFT JOIN (
    shown CROSS JOIN bound JOIN taskq_task AS first ON first.id = shown.id
) ON true
ORDER BY first.execute_at, first.id
"""
