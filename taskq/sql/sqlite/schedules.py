"""The schedules in SQLite; postgresql/schedules.py explains each statement.

Times are whole seconds here, in the one form that ``datetime()`` and Django write. So equal times
are equal as text.
"""

_NOW = "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"
_NAMES = "(SELECT value FROM json_each(%(names)s))"

READ = f"""
SELECT name, task, schedule, time_zone, catch_up, payload, queue, priority, max_losses,
       next_at || '', {_NOW}
FROM taskq_schedule WHERE name IN {_NAMES}
"""

SAVE = """
INSERT INTO taskq_schedule (name, task, schedule, time_zone, catch_up, payload, queue, priority,
                            max_losses, next_at)
VALUES (%(name)s, %(task)s, %(schedule)s, %(time_zone)s, %(catch_up)s, %(payload)s, %(queue)s,
        %(priority)s, %(max_losses)s, datetime(%(next_at)s))
ON CONFLICT (name) DO UPDATE
SET task = excluded.task, schedule = excluded.schedule, time_zone = excluded.time_zone,
    catch_up = excluded.catch_up, payload = excluded.payload, queue = excluded.queue,
    priority = excluded.priority, max_losses = excluded.max_losses, next_at = excluded.next_at
WHERE taskq_schedule.next_at IS %(expected)s
RETURNING id
"""

NOW = f"SELECT {_NOW}"

FORGET = f"""
DELETE FROM taskq_schedule
WHERE NOT paused AND next_at < datetime('now', printf('-%%d seconds', %(seconds)s))
  AND name NOT IN {_NAMES}
"""

LOOK = f"""
SELECT id, name, schedule, time_zone, catch_up, next_at || '', {_NOW}
FROM taskq_schedule
WHERE NOT paused AND next_at IS NOT NULL AND name IN {_NAMES}
ORDER BY next_at LIMIT %(limit)s
"""

# Two statements in one transaction, which holds the file's write lock from its start.
_MOVES = """
    SELECT json_extract(value, '$.id') AS id, json_extract(value, '$.schedule') AS schedule,
           json_extract(value, '$.time_zone') AS time_zone,
           json_extract(value, '$.expected') AS expected,
           datetime(json_extract(value, '$.next')) AS next,
           json_extract(value, '$.ticks') AS ticks
    FROM json_each(%(moves)s)
"""
_STANDS = """
    stand.id = move.id AND stand.next_at = move.expected AND stand.schedule = move.schedule
    AND stand.time_zone = move.time_zone AND NOT stand.paused
"""
TICK = (
    f"""
INSERT INTO taskq_task (name, payload, queue, priority, max_losses, execute_at, scheduled_at)
SELECT stand.task, stand.payload, stand.queue, stand.priority, stand.max_losses,
       datetime(tick.value), datetime(tick.value)
FROM ({_MOVES}) AS move JOIN taskq_schedule AS stand ON {_STANDS}
JOIN json_each(move.ticks) AS tick
ORDER BY tick.value, stand.id
RETURNING id
""",
    f"""
UPDATE taskq_schedule AS stand
SET next_at = move.next,
    last_at = coalesce(datetime(json_extract(move.ticks, '$[#-1]')), stand.last_at)
FROM ({_MOVES}) AS move WHERE {_STANDS}
RETURNING id
""",
)
