"""The costs of leases: the heartbeat, and the reclaim of a dead worker's tasks.

Read from the server's log, where each statement stands with its duration. The pool
serves a queue that has no tasks, so nothing else goes on.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import psycopg

from stress.bench.arena import STAGE, Arena
from stress.bench.scenario import Reading, Scenario
from stress.bench.server_log import transactions
from stress.bench.stage import Broken
from stress.rig.pools import wait_until

HELD = 10_000
HEARTBEAT = 1.0
OPTIONS = ("-Q", "elsewhere", "--heartbeat", str(HEARTBEAT), "--lease", "5")
LONG, SHORT = 20.0, 6.0

HOLD = """
INSERT INTO taskq_task (name, state, attempt, worker_id, started_at)
SELECT 'stress.bench.work.noop', 1, 1, %s, now() FROM generate_series(1, %s)
"""
DEAD_WORKER = """
INSERT INTO taskq_worker (pool, name, host, pid, lease_expires_at)
VALUES ('gone:1', 'worker 1', 'gone', 1, now() - interval '1 minute') RETURNING id
"""


class Heartbeat(Scenario):
    """A renewal, with 10,000 tasks claimed by the pool and with none."""

    name = "heartbeat"
    title = f"a heartbeat of -c 8 with {HELD:,} tasks claimed"
    unit = "ms"
    limit_is = "the same with none claimed"
    shows = ("statements an interval", "task rows written")

    def ours(self, arena: Arena) -> Reading:
        return self._measure(arena, HELD)

    def limit(self, arena: Arena) -> Reading:
        return self._measure(arena, 0)

    def _measure(self, arena: Arena, held: int) -> Reading:
        with arena.stage() as stage:
            arena.log.watch(stage.url)
            stage.start_workers(8, *OPTIONS).wait_ready(9)
            with psycopg.connect(stage.url, autocommit=True) as connection:
                wait_until(lambda: _number(connection, "SELECT count(*) FROM taskq_worker") == 9)
                worker = _number(connection, "SELECT max(id) FROM taskq_worker")
                connection.execute(HOLD, (worker, held))
                since, before = arena.log.here(), _versions(connection)
                time.sleep(SHORT if arena.quick else LONG)
                touched = len(before ^ _versions(connection))
            renewals = [each for each in arena.log.statements(since, STAGE) if _renews(each.text)]
        if len(renewals) < 2:
            raise Broken(f"{len(renewals)} renewals in the server's log")
        intervals = (renewals[-1].at - renewals[0].at) / HEARTBEAT
        return Reading(
            statistics.median(each.milliseconds for each in renewals),
            {
                "statements an interval": (len(renewals) - 1) / intervals,
                "task rows written": touched,
            },
        )


class ReclaimSweep(Scenario):
    """The transaction in which a keeper reclaims 10,000 tasks of a lost worker."""

    name = "reclaim-10k"
    title = f"reclaim {HELD:,} tasks of a lost worker"
    unit = "ms"
    limit_is = "raw UPDATE of as many rows"

    def ours(self, arena: Arena) -> Reading:
        with arena.stage() as stage:
            arena.log.watch(stage.url)
            stage.start_workers(1, *OPTIONS).wait_ready(2)
            with psycopg.connect(stage.url, autocommit=True) as connection:
                _lose(connection)
                since = arena.log.here()
                wait_until(
                    lambda: (
                        not _number(connection, "SELECT count(*) FROM taskq_task WHERE state = 1")
                    ),
                    what="the tasks are reclaimed",
                )
            sweeps = wait_until(
                lambda: [
                    each
                    for each in transactions(arena.log.statements(since, STAGE))
                    if any(_takes_back(statement.text) for statement in each)
                ],
                what="the sweep is in the server's log",
            )
            return Reading(sum(each.milliseconds for sweep in sweeps for each in sweep))

    def limit(self, arena: Arena) -> Reading:
        with arena.stage() as stage, psycopg.connect(stage.url, autocommit=True) as connection:
            worker = _lose(connection)
            began = time.perf_counter()
            connection.execute(
                "UPDATE taskq_task SET state = 0, worker_id = NULL, started_at = NULL "
                "WHERE state = 1 AND worker_id = %s",
                (worker,),
            )
            return Reading((time.perf_counter() - began) * 1000)


def _lose(connection: psycopg.Connection[Any]) -> int:
    """A worker whose lease ran out, and its tasks."""
    with connection.transaction():
        worker = _number(connection, DEAD_WORKER)
        connection.execute(HOLD, (worker, HELD))
    return worker


def _renews(text: str) -> bool:
    return text.startswith("UPDATE taskq_worker") and "lease_expires_at =" in text


def _takes_back(text: str) -> bool:
    return "UPDATE taskq_task" in text


def _versions(connection: psycopg.Connection[Any]) -> set[tuple[Any, ...]]:
    """Each task's row and the transaction that wrote it."""
    return set(connection.execute("SELECT id, xmin::text FROM taskq_task").fetchall())


def _number(connection: psycopg.Connection[Any], statement: str) -> int:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


SCENARIOS: list[Scenario] = [Heartbeat(), ReclaimSweep()]
