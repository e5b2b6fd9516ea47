"""The costs of an idle pool for the database: its statements, and the WAL of its renewals."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psycopg

from stress.tune.bed import Bed
from stress.tune.grid import SETTLE, cost_seconds
from stress.tune.results import Cost

#: Workers of the measured pool. Its keeper has a lease too.
WORKERS = 8
_READ = """
SELECT (pg_current_wal_insert_lsn() - '0/0')::float8,
       (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database())
"""


@dataclass(frozen=True)
class _Reading:
    at: float
    wal: float
    commits: int


def costs(bed: Bed, heartbeats: list[float], lease: float) -> list[Cost]:
    """The costs of an idle pool for each heartbeat, without those of the server alone.

    Every statement of a pool is a transaction of its own, so commits are statements.
    lease: long enough for all of the heartbeats. Leaves autovacuum off.
    """
    with psycopg.connect(bed.url, autocommit=True) as session:
        # The server's own work must not count: neither vacuum, nor checkpoints, nor the
        # full pages that follow a checkpoint in the WAL.
        session.execute("ALTER SYSTEM SET autovacuum = off")
        session.execute("SELECT pg_reload_conf()")
        session.execute("VACUUM ANALYZE")
        session.execute("CHECKPOINT")
        time.sleep(SETTLE)  # or earlier statements would count too
        queries, wal = _rates(session, cost_seconds(0))
        found = []
        for heartbeat in heartbeats:
            pool = bed.start_pool(
                *("-c", WORKERS, "--lease", lease, "--heartbeat", heartbeat),
                history=bed.home / "idle.jsonl",
            )
            try:
                bed.wait_ready(pool, WORKERS)
                session.execute("CHECKPOINT")
                time.sleep(SETTLE)  # or the start of the pool would count too
                with_pool = _rates(session, cost_seconds(heartbeat))
            finally:
                bed.clear()
            found.append(
                Cost(heartbeat, WORKERS + 1, with_pool[0] - queries, max(0.0, with_pool[1] - wal))
            )
    return found


def _rates(session: psycopg.Connection, seconds: float) -> tuple[float, float]:
    """Statements and bytes of WAL a second."""
    first = _read(session)
    time.sleep(seconds)
    last = _read(session)
    span = last.at - first.at
    return (last.commits - first.commits) / span, (last.wal - first.wal) / span


def _read(session: psycopg.Connection) -> _Reading:
    row = session.execute(_READ).fetchone()
    assert row is not None
    return _Reading(time.monotonic(), row[0], row[1])
