"""The schedules in PostgreSQL.

Each statement runs alone, in autocommit, so no lock is held while a client computes. A keeper that
freezes or loses its network during a tick stops no other pool's keeper.
"""

from taskq.sql.postgresql.enqueue import WAKE_ONE

#: Uses the unique index on the name. Locks nothing. The next tick is text here and below, because
#: a row written by hand may hold a time that no Python datetime holds.
READ = """
SELECT name, task, schedule, time_zone, catch_up, payload, queue, priority, max_losses,
       next_at::text, clock_timestamp()
FROM taskq_schedule WHERE name = ANY (%(names)s)
"""

# The unique index on the name finds the conflict. If the schedule has moved since it was read,
# nothing is written, and the caller reads again.
SAVE = """
INSERT INTO taskq_schedule (name, task, schedule, time_zone, catch_up, payload, queue, priority,
                            max_losses, next_at)
VALUES (%(name)s, %(task)s, %(schedule)s, %(time_zone)s, %(catch_up)s, %(payload)s, %(queue)s,
        %(priority)s, %(max_losses)s, %(next_at)s)
ON CONFLICT (name) DO UPDATE
SET task = excluded.task, schedule = excluded.schedule, time_zone = excluded.time_zone,
    catch_up = excluded.catch_up, payload = excluded.payload, queue = excluded.queue,
    priority = excluded.priority, max_losses = excluded.max_losses, next_at = excluded.next_at
WHERE taskq_schedule.next_at IS NOT DISTINCT FROM %(expected)s::timestamptz
RETURNING id
"""

NOW = "SELECT clock_timestamp()"

# Uses taskq_schedule_due.
FORGET = """
DELETE FROM taskq_schedule
WHERE NOT paused AND next_at < clock_timestamp() - %(seconds)s * interval '1 second'
  AND NOT (name = ANY (%(names)s))
"""

# In the order of taskq_schedule_due: the due schedules, and the one after them. Locks nothing.
LOOK = """
SELECT id, name, schedule, time_zone, catch_up, next_at::text, clock_timestamp()
FROM taskq_schedule
WHERE NOT paused AND next_at IS NOT NULL AND name = ANY (%(names)s)
ORDER BY taskq_schedule.next_at LIMIT %(limit)s
"""

# A whole tick: the schedule moves on and its tasks are there, or neither. A schedule moves only
# from where it was read. So of many pools that try, one succeeds, and the others find it moved. A
# row that another session has locked is moving right now, so it is skipped: nobody waits here,
# and no two can wait for each other. The rows are found by primary key.
TICK = (
    f"""
WITH move AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(moves)s::json) AS move (
        id bigint, expected timestamptz, schedule text, time_zone text, next timestamptz,
        ticks json
    )
), held AS MATERIALIZED (
    SELECT stand.id FROM taskq_schedule AS stand JOIN move ON move.id = stand.id
    WHERE stand.next_at IS NOT DISTINCT FROM move.expected AND stand.schedule = move.schedule
      AND stand.time_zone = move.time_zone AND NOT stand.paused
    ORDER BY stand.id FOR UPDATE OF stand SKIP LOCKED
), moved AS (
    UPDATE taskq_schedule AS stand
    SET next_at = move.next, last_at = coalesce((move.ticks->>-1)::timestamptz, stand.last_at)
    FROM move JOIN held ON held.id = move.id
    WHERE stand.id = move.id
    RETURNING stand.id, stand.task, stand.payload, stand.queue, stand.priority,
              stand.max_losses, move.ticks
), sent AS (
    INSERT INTO taskq_task (name, payload, queue, priority, max_losses, execute_at, scheduled_at)
    SELECT moved.task, moved.payload, moved.queue, moved.priority, moved.max_losses,
           tick.at::timestamptz, tick.at::timestamptz
    FROM moved CROSS JOIN LATERAL json_array_elements_text(moved.ticks) AS tick (at)
    ORDER BY tick.at, moved.id
    RETURNING id
), wake AS MATERIALIZED (
    SELECT CASE WHEN EXISTS (SELECT FROM sent) THEN {WAKE_ONE} END AS sent
)
SELECT moved.id, wake.sent FROM moved CROSS JOIN wake
""",
)
