"""The leases in SQLite. postgresql/leases.py explains each statement."""

from __future__ import annotations

from taskq.sql.in_both import CANCELLED, HOLDING_WORKERS, LOST, UNKNOWN_WORKER
from taskq.sql.sqlite.cast import INTEGER, TEXT
from taskq.sql.sqlite.tasks import history
from taskq.sql.sqlite.time import NOW, later

GIVE = f"""
INSERT INTO taskq_worker (id, pool, host, name, pid, serves, lease_expires_at)
SELECT ids.value, %(pool)s, %(host)s, names.value, pids.value, %(serves)s, {later("%(lease)s")}
FROM json_each(%(ids)s) AS ids
JOIN json_each(%(names)s) AS names ON names.key = ids.key
JOIN json_each(%(pids)s) AS pids ON pids.key = ids.key
RETURNING pid, id
"""

RENEW = f"""
UPDATE taskq_worker SET lease_expires_at = {later("%(lease)s")}
WHERE id IN (SELECT value FROM json_each(%(workers)s)) AND lease_expires_at > {NOW}
RETURNING id, pid, '', EXISTS (SELECT 1 FROM taskq_worker WHERE lease_expires_at <= {NOW})
"""

LISTENS = "UPDATE taskq_worker SET listens = %(listens)s WHERE id = %(worker)s"

# Nobody notifies.
NOTIFIERS_WAITING = None
ANOTHER_LISTENS = (
    "SELECT 1 FROM taskq_worker "
    f"WHERE listens AND pool <> %(pool)s AND lease_expires_at > {NOW} LIMIT 1"
)

EXPIRED = (
    "SELECT id, end_done FROM taskq_worker "
    f"WHERE lease_expires_at <= {NOW} AND typeof(id) = 'integer' ORDER BY lease_expires_at, id"
)

_WORKER = "pool, name, end_cause, end_blamed, end_charge, end_done"
LOCK_WORKER = f"SELECT {_WORKER} FROM taskq_worker WHERE id = %(worker)s"
LOCK_EXPIRED_WORKER = f"{LOCK_WORKER} AND lease_expires_at <= {NOW}"

_RESTORE = f"""
INSERT OR IGNORE INTO taskq_worker (id, pool, host, name, pid, lease_expires_at)
SELECT id, {UNKNOWN_WORKER}, {later("%(lease)s")}
"""
RESTORE_WORKER = f"""
{_RESTORE} FROM (SELECT %(worker)s AS id)
WHERE EXISTS (SELECT 1 FROM taskq_task WHERE state = 1 AND worker_id = %(worker)s)
RETURNING {_WORKER}
"""
RESTORE_WORKERS = f"""
{HOLDING_WORKERS}
{_RESTORE} FROM held
WHERE id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM taskq_worker AS worker WHERE worker.id = held.id)
RETURNING id
"""
NAME_HOLDER = """
UPDATE taskq_task SET worker_id = %(worker)s
WHERE state = 1 AND typeof(worker_id) <> 'integer' RETURNING id
"""

HELD = "SELECT count(*), max(id) FROM taskq_task WHERE state = 1 AND worker_id = %(worker)s"

_BLAMED = "id = %(blamed)s"
_MAY_HAVE_RUN = f"({_BLAMED} OR %(suspect)s)"
_CANCELLED = "cancelled_at IS NOT NULL"
_NAME, _QUEUE = TEXT.format("name"), TEXT.format("queue")
_LOSSES, _MAX_LOSSES = INTEGER.format("losses"), INTEGER.format("max_losses")
_ENDS = f"({_CANCELLED} OR {_BLAMED} AND {_LOSSES} + %(charge)s >= {_MAX_LOSSES})"
_KIND = f"CASE WHEN {_CANCELLED} THEN {CANCELLED} ELSE {LOST} END"
_TOLD = f"({_BLAMED} AND ({_ENDS} OR %(charge)s > 0))"
# Not {_CANCELLED} in RETURNING: SQLite 3.40 says 1 there for a NULL.
RECLAIM = f"""
UPDATE taskq_task
SET state = CASE WHEN {_ENDS} THEN 2 ELSE 0 END,
    failed_at = CASE WHEN {_ENDS} THEN {NOW} END,
    losses = min(32767, {_LOSSES}
                 + CASE WHEN {_BLAMED} AND NOT {_CANCELLED} THEN %(charge)s ELSE 0 END),
    isolated = isolated OR {_MAY_HAVE_RUN},
    expires_at = CASE WHEN {_MAY_HAVE_RUN} AND expires_at > started_at THEN NULL
                      ELSE expires_at END,
    unknown_since = CASE WHEN {_MAY_HAVE_RUN} THEN NULL ELSE unknown_since END,
    error = CASE WHEN {_CANCELLED} THEN 'cancelled; its worker: ' || %(cause)s
                 WHEN {_TOLD} THEN %(cause)s ELSE error END,
    history = CASE WHEN {_TOLD} THEN {history(_KIND, "%(cause)s")} ELSE history END,
    traceback = CASE WHEN {_ENDS} THEN '' ELSE traceback END,
    worker_id = NULL, started_at = NULL
WHERE state = 1 AND worker_id = %(worker)s
RETURNING id, {_NAME}, {_QUEUE}, losses, {_BLAMED}, state = 2, cancelled_at
"""

RETIRE = """
DELETE FROM taskq_worker WHERE id = %(worker)s
  AND NOT EXISTS (SELECT 1 FROM taskq_task WHERE state = 1 AND worker_id = %(worker)s)
"""

DECIDE = f"""
UPDATE taskq_worker
SET end_cause = %(cause)s, end_blamed = %(blamed)s, end_charge = %(charge)s, end_done = %(done)s,
    lease_expires_at = min(lease_expires_at, {NOW})
WHERE id = %(worker)s
"""
