"""The leases in PostgreSQL: give, renew, expired, retire.

The statements run in READ COMMITTED. They compare leases with ``clock_timestamp()``, because
``now()`` is the time at which the transaction began.
"""

from __future__ import annotations

from taskq.sql.in_both import CANCELLED, HOLDING_WORKERS, LOST, UNKNOWN_WORKER
from taskq.sql.postgresql.tasks import history

GIVE = """
INSERT INTO taskq_worker (id, pool, host, name, pid, serves, lease_expires_at)
SELECT id, %(pool)s, %(host)s, name, pid, %(serves)s,
       clock_timestamp() + %(lease)s * interval '1 second'
FROM unnest(%(ids)s::bigint[], %(names)s::text[], %(pids)s::int[]) AS process (id, name, pid)
RETURNING pid, id
"""

# One statement for a whole pool. It touches no task, and no index either, as no indexed column
# changes (HOT). A lease that ran out is never renewed. The start time of the server shows whether
# it is another server by now, which a pooler would hide. One scan of the few rows, as they were
# before, tells whether any lease has run out: so an idle pool needs no statement for that.
RENEW = """
UPDATE taskq_worker
SET lease_expires_at = clock_timestamp() + %(lease)s * interval '1 second'
WHERE id = ANY (%(workers)s) AND lease_expires_at > clock_timestamp()
RETURNING id, pid, extract(epoch FROM pg_postmaster_start_time())::text,
          EXISTS (SELECT FROM taskq_worker WHERE lease_expires_at <= clock_timestamp())
"""

LISTENS = (
    "UPDATE taskq_worker SET listens = %(listens)s WHERE id = %(worker)s AND listens <> %(listens)s"
)

# How many commits wait for their turn to notify. The one whose turn it is holds a lock on object 0
# of pg_database until it is on the disk. Reads the server's table of locks, and locks nothing.
NOTIFIERS_WAITING = """
SELECT count(*) FROM pg_locks
WHERE NOT granted AND locktype = 'object' AND classid = 'pg_database'::regclass AND objid = 0
"""
# By taskq_worker_listens, which is nearly always empty. Locks nothing.
ANOTHER_LISTENS = (
    "SELECT 1 FROM taskq_worker WHERE listens AND pool <> %(pool)s "
    "AND lease_expires_at > clock_timestamp() LIMIT 1"
)

# A scan: the table has one row for each process, too few for an index to be worth it.
EXPIRED = (
    "SELECT id, end_done FROM taskq_worker WHERE lease_expires_at <= clock_timestamp() "
    "ORDER BY lease_expires_at, id"
)

# To retire a lease, the statements from here on run in this order, in one transaction. The first
# locks the worker's row against claims in flight. Only the later ones look for its tasks, with a
# snapshot that contains what such a claim has committed.
_WORKER = "pool, name, end_cause, end_blamed, end_charge, end_done"
LOCK_WORKER = f"SELECT {_WORKER} FROM taskq_worker WHERE id = %(worker)s FOR UPDATE"
LOCK_EXPIRED_WORKER = f"""
SELECT {_WORKER} FROM taskq_worker
WHERE id = %(worker)s AND lease_expires_at <= clock_timestamp()
FOR UPDATE SKIP LOCKED
"""

# A worker has its row while it holds a task: a claim in flight keeps the row, and retiring removes
# it last. If it is missing, a person removed it, or restored the tasks without it. Then the row is
# restored, so that the keeper that retires this worker finds it, locks it and decides once.
_RESTORE = f"""
INSERT INTO taskq_worker (id, pool, host, name, pid, lease_expires_at)
SELECT id, {UNKNOWN_WORKER}, clock_timestamp() + %(lease)s * interval '1 second'
"""
# By taskq_task_running.
RESTORE_WORKER = f"""
{_RESTORE} FROM (SELECT %(worker)s::bigint AS id) AS gone
WHERE EXISTS (SELECT FROM taskq_task WHERE state = 1 AND worker_id = %(worker)s)
ON CONFLICT (id) DO NOTHING
RETURNING {_WORKER}
"""
# For all missing rows. The process with such a lease may still run until the lease ends. Until then
# no other gets its tasks.
RESTORE_WORKERS = f"""
{HOLDING_WORKERS}
{_RESTORE} FROM held
WHERE id IS NOT NULL AND NOT EXISTS (SELECT FROM taskq_worker AS worker WHERE worker.id = held.id)
ON CONFLICT (id) DO NOTHING
RETURNING id
"""
# Tasks that are held by no worker get one. By taskq_task_running; locked tasks wait.
NAME_HOLDER = """
UPDATE taskq_task SET worker_id = %(worker)s
WHERE id = ANY (ARRAY(
    SELECT id FROM taskq_task WHERE state = 1 AND worker_id IS NULL FOR UPDATE SKIP LOCKED
))
RETURNING id
"""

# By taskq_task_running.
HELD = "SELECT count(*), max(id) FROM taskq_task WHERE state = 1 AND worker_id = %(worker)s"

# A task that ran or may have run did start in time, so it no longer expires (unless it had expired
# when it was claimed), and a worker knew its function.
# A locked row belongs to a transaction that finishes the task (the commit of an atomic one). It is
# left for the next time, not waited for. "leave" has the finished runs that could not be written
# because their rows were locked: they are left too, though they may be free by now.
_TOLD = "held.blamed AND (held.ends OR %(charge)s > 0)"
_KIND = f"CASE WHEN held.cancelled THEN {CANCELLED} ELSE {LOST} END"
_MAY_HAVE_RUN = "held.blamed OR %(suspect)s"
RECLAIM = f"""
UPDATE taskq_task AS task
SET state = CASE WHEN held.ends THEN 2 ELSE 0 END,
    failed_at = CASE WHEN held.ends THEN clock_timestamp() END,
    losses = least(32767, task.losses::int
                   + CASE WHEN held.blamed AND NOT held.cancelled THEN %(charge)s ELSE 0 END),
    isolated = task.isolated OR {_MAY_HAVE_RUN},
    expires_at = CASE WHEN ({_MAY_HAVE_RUN}) AND task.expires_at > task.started_at THEN NULL
                      ELSE task.expires_at END,
    unknown_since = CASE WHEN {_MAY_HAVE_RUN} THEN NULL ELSE task.unknown_since END,
    error = CASE WHEN held.cancelled THEN 'cancelled; its worker: ' || %(cause)s::text
                 WHEN {_TOLD} THEN %(cause)s::text ELSE task.error END,
    history = CASE WHEN {_TOLD} THEN {history(_KIND, "%(cause)s::text")} ELSE task.history END,
    traceback = CASE WHEN held.ends THEN '' ELSE task.traceback END,
    worker_id = NULL, started_at = NULL
FROM (
    SELECT id, id = %(blamed)s AS blamed, cancelled_at IS NOT NULL AS cancelled,
           cancelled_at IS NOT NULL OR
               id = %(blamed)s AND losses::int + %(charge)s >= max_losses AS ends
    FROM taskq_task
    WHERE state = 1 AND worker_id = %(worker)s AND id <> ALL (%(leave)s::bigint[])
    ORDER BY id FOR UPDATE SKIP LOCKED
) AS held
WHERE task.id = held.id
RETURNING task.id, task.name, task.queue, task.losses, held.blamed, held.ends,
          task.cancelled_at IS NOT NULL
"""

RETIRE = """
DELETE FROM taskq_worker AS worker
WHERE id = %(worker)s
  AND NOT EXISTS (SELECT FROM taskq_task WHERE state = 1 AND worker_id = worker.id)
"""

# Some tasks are left, as they are locked. The lease ends now, and what is decided here stays in
# its row for the keeper that reclaims the rest.
DECIDE = """
UPDATE taskq_worker
SET end_cause = %(cause)s, end_blamed = %(blamed)s, end_charge = %(charge)s, end_done = %(done)s,
    lease_expires_at = least(lease_expires_at, clock_timestamp())
WHERE id = %(worker)s
"""
