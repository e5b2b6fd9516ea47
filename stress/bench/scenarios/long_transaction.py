"""Does the rate hold while a transaction keeps an old snapshot, and so every dead row?"""

from __future__ import annotations

from typing import Any

import psycopg

from stress.bench.arena import Arena
from stress.bench.contestants import OURS
from stress.bench.figures import rate_between, time_line
from stress.bench.scenario import Reading, Scenario
from stress.bench.scenarios.drain import fill
from stress.bench.stage import Broken

#: Seconds that the transaction is held, and the window at either end.
LONG, SHORT = 90.0, 20.0
WINDOW = 10.0


class LongTransaction(Scenario):
    """The rate of the last 10 s divided by that of the first 10 s of a drain, -c 8."""

    name = "long-transaction"
    title = "drain no-op tasks, -c 8, under a held REPEATABLE READ transaction: last by first 10 s"
    unit = "of the first 10 s"
    quick_rounds = 1
    shows = ("first 10 s", "last 10 s")

    def ours(self, arena: Arena) -> Reading:
        seconds = SHORT if arena.quick else LONG
        count = int(OURS.pace * 0.8 * seconds)

        def fill_all(connection: psycopg.Connection[Any]) -> None:
            fill(connection, "stress.bench.work.noop", count, "[[],{}]")

        with (
            arena.stage(template="long", fill=fill_all) as stage,
            psycopg.connect(stage.url) as holder,
        ):
            holder.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            holder.execute("SELECT count(*) FROM taskq_worker")  # from here on it has a snapshot
            samples = stage.watch(
                stage.start_workers(8), seconds=seconds, until=lambda done: done >= count
            )
            holder.rollback()
        ended = samples[-1][0]
        if ended < 2 * WINDOW:
            raise Broken(f"{count} tasks lasted {ended:.0f} s of {seconds:g} s: raise OURS.pace")
        first = rate_between(samples, 0, WINDOW)
        last = rate_between(samples, ended - WINDOW, ended)
        line = [round(rate) for rate in time_line(samples)]
        return Reading(last / first, {"first 10 s": first, "last 10 s": last, "each second": line})


SCENARIOS: list[Scenario] = [LongTransaction()]
