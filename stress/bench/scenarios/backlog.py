"""Does the rate of a drain depend on the other rows in the table?

The same number of no-ops is drained from a table with many more rows behind them, due or
in the future. The limit is the rate with 1,000 rows behind, measured in the same round.
"""

from __future__ import annotations

from typing import Any

import psycopg

from stress.bench.arena import Arena
from stress.bench.figures import steady_rate
from stress.bench.scenario import Reading, Scenario

#: How many tasks are drained, and the seconds after which a slow drain is stopped.
MANY, FEW = 150_000, 40_000
LONG, SHORT = 10.0, 3.0
LEAST = 1_000

FILL = """
INSERT INTO taskq_task (name, execute_at)
SELECT 'stress.bench.work.noop',
       statement_timestamp() + number * interval '1 millisecond' + %s * interval '1 second'
FROM generate_series(1, %s) AS number
"""
DAY = 86_400.0


class Backlog(Scenario):
    """behind: how many more rows are due. ahead: how many rows in front are not due."""

    unit = "tasks/s"
    limit_is = f"taskq with {LEAST:,} behind"

    def __init__(self, label: str, *, behind: int = LEAST, ahead: int = 0) -> None:
        self.name = f"backlog-{label}"
        what = f"{ahead:,} future" if ahead else f"{behind:,} due"
        self.title = f"drain no-op tasks, -c 8, {what} rows of backlog"
        self.behind = behind
        self.ahead = ahead

    def ours(self, arena: Arena) -> Reading:
        return self._drain(arena, self.behind, self.ahead)

    def limit(self, arena: Arena) -> Reading | None:
        if self.behind == LEAST and not self.ahead:
            return None
        return self._drain(arena, LEAST, 0)

    def _drain(self, arena: Arena, behind: int, ahead: int) -> Reading:
        count = FEW if arena.quick else MANY

        def fill(connection: psycopg.Connection[Any]) -> None:
            if ahead:
                connection.execute(FILL, (DAY, ahead))
            connection.execute(FILL, (-DAY, count + behind))

        with arena.stage(template=f"{behind}_{ahead}", fill=fill) as stage:
            workers = stage.start_workers(8)
            seconds = SHORT if arena.quick else LONG
            samples = stage.watch(workers, seconds=seconds, until=lambda done: done >= count)
            return Reading(steady_rate(samples), {"done": samples[-1][1]})


SCENARIOS: list[Scenario] = [
    Backlog("1k"),
    Backlog("100k", behind=100_000),
    Backlog("1m", behind=1_000_000),
    Backlog("1m-future", ahead=1_000_000),
]
