"""The SQL of roll-ups and recent runs, for both vendors."""

from __future__ import annotations

_BUCKETS = [f"{which}_{bucket:02}" for which in ("run", "wait") for bucket in range(20)]
#: The columns with figures, in the order of a row of counters (taskq.task.measures).
FIGURES = (
    *("done", "failed", "retried", "lost", "cancelled"),
    *("run_seconds", "wait_seconds"),
    *_BUCKETS,
)

_REPLACE = "ON CONFLICT (step, at, name, queue, pool) DO UPDATE SET " + ", ".join(
    f"{column} = excluded.{column}" for column in FIGURES
)

# A pool's sum for a minute, in place of the one that it wrote before. So to write it twice, or by
# two keepers one after the other, changes nothing. It locks one row that only this pool writes, by
# the unique index taskq_rollup_once.
MINUTE = f"""
INSERT INTO taskq_rollup (step, at, name, queue, pool, {", ".join(FIGURES)})
VALUES (60, %(at)s, %(name)s, %(queue)s, %(pool)s, {", ".join(f"%({each})s" for each in FIGURES)})
{_REPLACE}
"""

# The sums of an hour, from all its minutes: writing it again is right too. Two pools that do it at
# the same time lock the rows in the same order. It reads a range of taskq_rollup_once.
HOUR = f"""
INSERT INTO taskq_rollup (step, at, name, queue, pool, {", ".join(FIGURES)})
SELECT 3600, %(at)s, name, queue, '', {", ".join(f"sum({each})" for each in FIGURES)}
FROM taskq_rollup WHERE step = 60 AND at >= %(at)s AND at < %(until)s
GROUP BY name, queue ORDER BY name, queue
{_REPLACE}
"""

# Some rows of one step that are older than a time: a range of taskq_rollup_once. Nobody waits for
# the locks of these rows, unless two pools prune them at once, in the same order.
PRUNE = """
DELETE FROM taskq_rollup WHERE id IN (
    SELECT id FROM taskq_rollup WHERE step = %(step)s AND at < %(before)s
    ORDER BY at, name, queue, pool LIMIT %(limit)s
)
"""

RECENT = """
INSERT INTO taskq_recentrun
    (task_id, attempt, name, queue, pool, worker, started_at, seconds, wait, "end")
VALUES (%(task)s, %(attempt)s, %(name)s, %(queue)s, %(pool)s, %(worker)s, %(started_at)s,
        %(seconds)s, %(wait)s, %(end)s)
"""

# All but the last runs of each name, and the last of those that were slow or did not succeed. It
# reads the whole table, which is as small as these settings say. Only another pool that prunes
# touches these rows.
FORGET = """
DELETE FROM taskq_recentrun WHERE id IN (
    SELECT id FROM (
        SELECT id,
               row_number() OVER (PARTITION BY name ORDER BY started_at DESC, id DESC) AS of_name,
               row_number() OVER (PARTITION BY notable ORDER BY started_at DESC, id DESC) AS of_all,
               notable
        FROM (SELECT id, name, started_at, "end" <> %(done)s OR seconds >= %(slow)s AS notable
              FROM taskq_recentrun) AS run
    ) AS ranked
    WHERE of_name > %(each)s AND NOT (notable AND of_all <= %(notable)s)
    ORDER BY id
)
"""
