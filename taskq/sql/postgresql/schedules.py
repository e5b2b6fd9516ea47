"""The schedules in PostgreSQL.

Each statement runs alone, in autocommit, so no lock is held while a client computes. A keeper that
freezes or loses its network during a tick stops no other pool's keeper.
"""

from taskq.sql.postgresql.enqueue import WAKE_ONE
from taskq.sql.postgresql.time import interval

#: Uses the unique index on the name. Locks nothing. The next tick is text here and below, because
#: a row written by hand may hold a time that no Python datetime holds.
READ = """
SELECT name, task, schedule, time_zone, catch_up, payload, queue, priority, max_losses,
       expire_seconds, from_code AND error = '', next_at::text, clock_timestamp()
FROM taskq_schedule WHERE name = ANY (%(names)s)
"""

# The unique index on the name finds the conflict. If the schedule has moved since it was read,
# nothing is written, and the caller reads again. A row that a person has made becomes the code's.
SAVE = """
INSERT INTO taskq_schedule (name, task, schedule, time_zone, catch_up, payload, queue, priority,
                            max_losses, expire_seconds, next_at)
VALUES (%(name)s, %(task)s, %(schedule)s, %(time_zone)s, %(catch_up)s, %(payload)s, %(queue)s,
        %(priority)s, %(max_losses)s, %(expire_seconds)s, %(next_at)s)
ON CONFLICT (name) DO UPDATE
SET task = excluded.task, schedule = excluded.schedule, time_zone = excluded.time_zone,
    catch_up = excluded.catch_up, payload = excluded.payload, queue = excluded.queue,
    priority = excluded.priority, max_losses = excluded.max_losses,
    expire_seconds = excluded.expire_seconds, next_at = excluded.next_at,
    from_code = true, start_at = NULL, end_at = NULL, one_off = false, error = ''
WHERE taskq_schedule.next_at IS NOT DISTINCT FROM %(expected)s::timestamptz
RETURNING id
"""

NOW = "SELECT clock_timestamp()"

# Uses taskq_schedule_due. What a person has made stays.
FORGET = """
DELETE FROM taskq_schedule
WHERE NOT paused AND from_code AND next_at < clock_timestamp() - %(seconds)s * interval '1 second'
  AND NOT (name = ANY (%(names)s))
"""

# In the order of taskq_schedule_due: the due schedules, and the one after them. Locks nothing.
_LOOK = """
SELECT id, name, schedule, time_zone, catch_up, next_at::text, clock_timestamp(),
       start_at::text, end_at::text, one_off
FROM taskq_schedule
WHERE NOT paused AND next_at IS NOT NULL AND {those}
  AND NOT (error <> '' AND id = ANY (%(refused)s))
ORDER BY taskq_schedule.next_at LIMIT %(limit)s
"""

#: A pool sends those of the code's schedules that it knows, and all that a person has made.
#: late: they are read by themselves. refused: this pool could not read them. A change by a person
#: empties ``error``.
LOOK = _LOOK.format(those="(NOT from_code OR name = ANY (%(names)s)) AND NOT name = ANY (%(late)s)")
LOOK_LATE = _LOOK.format(those="name = ANY (%(late)s)")

# A whole tick: the schedule moves on and its tasks are there, or neither. A schedule moves only
# from where it was read. So of many pools that try, one succeeds, and the others find it moved. A
# row that another session has locked is moving right now, so it is skipped: nobody waits here,
# and no two can wait for each other. The rows are found by primary key.
TICK = (
    f"""
WITH move AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(moves)s::json) AS move (
        id bigint, expected timestamptz, schedule text, time_zone text, end_at timestamptz,
        one_off boolean, next timestamptz, ticks json
    )
), held AS MATERIALIZED (
    SELECT stand.id FROM taskq_schedule AS stand JOIN move ON move.id = stand.id
    WHERE stand.next_at IS NOT DISTINCT FROM move.expected AND stand.schedule = move.schedule
      AND stand.time_zone = move.time_zone AND NOT stand.paused
      AND stand.end_at IS NOT DISTINCT FROM move.end_at AND stand.one_off = move.one_off
    ORDER BY stand.id FOR UPDATE OF stand SKIP LOCKED
), moved AS (
    UPDATE taskq_schedule AS stand
    SET next_at = move.next, last_at = coalesce((move.ticks->>-1)::timestamptz, stand.last_at),
        total_runs = stand.total_runs + json_array_length(move.ticks),
        paused = stand.one_off AND json_array_length(move.ticks) > 0
    FROM move JOIN held ON held.id = move.id
    WHERE stand.id = move.id
    RETURNING stand.id, stand.task, stand.payload, stand.queue, stand.priority,
              stand.max_losses, stand.expire_seconds, move.ticks
), sent AS (
    INSERT INTO taskq_task (name, payload, queue, priority, max_losses, expires_at, execute_at,
                            scheduled_at)
    SELECT moved.task, moved.payload, moved.queue, moved.priority, moved.max_losses,
           CASE WHEN moved.expire_seconds IS NOT NULL
                THEN clock_timestamp() + {interval("moved.expire_seconds")} END,
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

# What a person will read. By primary key. A row that has changed since it was read is left.
MARK = """
UPDATE taskq_schedule SET error = %(error)s
WHERE id = %(id)s AND next_at::text = %(expected)s AND schedule = %(schedule)s
  AND time_zone = %(time_zone)s AND error <> %(error)s
"""
