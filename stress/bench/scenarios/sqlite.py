"""A drain on SQLite, in WAL mode."""

from __future__ import annotations

from collections.abc import Callable

from stress.bench.arena import Arena
from stress.bench.scenario import Reading, Scenario
from stress.bench.scenarios.drain import watch
from stress.bench.stage import Stage, Workers

RAW = "stress.bench.raw_sqlite"
LONG, SHORT = 6.0, 3.0
PACE = 30_000


class SqliteDrain(Scenario):
    """No-ops with 4 workers. Their log must not mention a locked database."""

    name = "sqlite-drain-c4"
    title = "drain no-op tasks on SQLite (WAL), -c 4"
    unit = "tasks/s"
    shows = ("locked errors",)
    limit_is = "raw sqlite3 claim + delete, 50 rows, 1 process"

    def ours(self, arena: Arena) -> Reading:
        return self._drain(arena, lambda stage: stage.start_workers(4))

    def limit(self, arena: Arena) -> Reading:
        return self._drain(arena, lambda stage: stage.start(RAW, "drain", 50))

    def _drain(self, arena: Arena, start: Callable[[Stage], Workers]) -> Reading:
        seconds = SHORT if arena.quick else LONG
        count = int(PACE * seconds)
        with arena.sqlite_stage() as stage:
            stage.module(RAW, "fill", count)
            workers = start(stage)
            reading = watch(stage, workers, count, seconds)
            reading.detail["locked errors"] = workers.log().count("database is locked")
            return reading


SCENARIOS: list[Scenario] = [SqliteDrain()]
