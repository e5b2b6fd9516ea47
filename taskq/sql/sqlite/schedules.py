"""The schedules in SQLite; postgresql/schedules.py explains each statement.

Times are whole seconds here, in the one form that ``datetime()`` and Django write. So equal times
are equal as text.
"""

from taskq.sql.sqlite.time import later_or_null

_NOW = "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"
_NAMES = "(SELECT value FROM json_each(%(names)s))"
_LATE = "(SELECT value FROM json_each(%(late)s))"

READ = f"""
SELECT name, task, schedule, time_zone, catch_up, payload, queue, priority, max_losses,
       expire_seconds, from_code AND error = '', next_at || '', {_NOW}
FROM taskq_schedule WHERE name IN {_NAMES}
"""

SAVE = """
INSERT INTO taskq_schedule (name, task, schedule, time_zone, catch_up, payload, queue, priority,
                            max_losses, expire_seconds, next_at)
VALUES (%(name)s, %(task)s, %(schedule)s, %(time_zone)s, %(catch_up)s, %(payload)s, %(queue)s,
        %(priority)s, %(max_losses)s, %(expire_seconds)s, datetime(%(next_at)s))
ON CONFLICT (name) DO UPDATE
SET task = excluded.task, schedule = excluded.schedule, time_zone = excluded.time_zone,
    catch_up = excluded.catch_up, payload = excluded.payload, queue = excluded.queue,
    priority = excluded.priority, max_losses = excluded.max_losses,
    expire_seconds = excluded.expire_seconds, next_at = excluded.next_at,
    from_code = true, start_at = NULL, end_at = NULL, one_off = false, error = ''
WHERE taskq_schedule.next_at IS %(expected)s
RETURNING id
"""

NOW = f"SELECT {_NOW}"

FORGET = f"""
DELETE FROM taskq_schedule
WHERE NOT paused AND from_code AND next_at < datetime('now', printf('-%%d seconds', %(seconds)s))
  AND name NOT IN {_NAMES}
"""

_LOOK = f"""
SELECT id, name, schedule, time_zone, catch_up, next_at || '', {_NOW},
       start_at || '', end_at || '', one_off
FROM taskq_schedule
WHERE NOT paused AND next_at IS NOT NULL AND {{those}}
  AND NOT (error <> '' AND id IN (SELECT value FROM json_each(%(refused)s)))
ORDER BY next_at LIMIT %(limit)s
"""
LOOK = _LOOK.format(those=f"(NOT from_code OR name IN {_NAMES}) AND name NOT IN {_LATE}")
LOOK_LATE = _LOOK.format(those=f"name IN {_LATE}")

# Two statements in one transaction, which holds the file's write lock from its start.
_MOVES = """
    SELECT json_extract(value, '$.id') AS id, json_extract(value, '$.schedule') AS schedule,
           json_extract(value, '$.time_zone') AS time_zone,
           json_extract(value, '$.expected') AS expected,
           json_extract(value, '$.end_at') AS end_at,
           json_extract(value, '$.one_off') AS one_off,
           datetime(json_extract(value, '$.next')) AS next,
           json_extract(value, '$.ticks') AS ticks
    FROM json_each(%(moves)s)
"""
_STANDS = """
    stand.id = move.id AND stand.next_at = move.expected AND stand.schedule = move.schedule
    AND stand.time_zone = move.time_zone AND NOT stand.paused
    AND stand.end_at IS move.end_at AND stand.one_off = move.one_off
"""
TICK = (
    f"""
INSERT INTO taskq_task (name, payload, queue, priority, max_losses, expires_at, execute_at,
                        scheduled_at)
SELECT stand.task, stand.payload, stand.queue, stand.priority, stand.max_losses,
       {later_or_null("stand.expire_seconds")}, datetime(tick.value), datetime(tick.value)
FROM ({_MOVES}) AS move JOIN taskq_schedule AS stand ON {_STANDS}
JOIN json_each(move.ticks) AS tick
ORDER BY tick.value, stand.id
RETURNING id
""",
    f"""
UPDATE taskq_schedule AS stand
SET next_at = move.next,
    last_at = coalesce(datetime(json_extract(move.ticks, '$[#-1]')), stand.last_at),
    total_runs = stand.total_runs + json_array_length(move.ticks),
    paused = stand.one_off AND json_array_length(move.ticks) > 0
FROM ({_MOVES}) AS move WHERE {_STANDS}
RETURNING id
""",
)

MARK = """
UPDATE taskq_schedule SET error = %(error)s
WHERE id = %(id)s AND next_at = %(expected)s AND schedule = %(schedule)s
  AND time_zone = %(time_zone)s AND error <> %(error)s
"""
