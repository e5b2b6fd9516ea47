"""The NOTIFY trap: PostgreSQL serializes commits that notify. What does a pool that listens
cost the committing processes?"""

from __future__ import annotations

import json

from stress.bench.arena import Arena
from stress.bench.contestants import OURS
from stress.bench.figures import steady_rate
from stress.bench.scenario import Reading, Scenario
from stress.bench.stage import Stage

COMMITTERS = 8
LONG, SHORT = 10.0, 4.0


class Committers(Scenario):
    """8 processes that only call ``delay()``, each in a transaction of its own.

    options: of the pool beside them.
    """

    unit = "tasks/s"
    limit_is = "the same without any pool"

    def __init__(self, name: str, title: str, *options: str) -> None:
        self.name = name
        self.title = title
        self.options = options

    def ours(self, arena: Arena) -> Reading:
        with arena.stage() as stage:
            self._start_pool(stage)
            return self._pour(arena, stage)

    def limit(self, arena: Arena) -> Reading:
        with arena.stage() as stage:
            return self._pour(arena, stage)

    def _start_pool(self, stage: Stage) -> None:
        stage.start_workers(8, *self.options).wait_ready(9)

    def _pour(self, arena: Arena, stage: Stage) -> Reading:
        seconds = SHORT if arena.quick else LONG
        committers = stage.start(OURS.module, "pour", "noop", processes=COMMITTERS)
        samples = stage.watch(committers, seconds=seconds, counter=stage.sent)
        return Reading(steady_rate(samples), {"run": stage.counter.total()})


class Listening(Committers):
    """The same beside a pool that runs all tasks in both cases: the cost of its listening."""

    limit_is = "the same into a pool that only polls (LISTEN is False)"

    def limit(self, arena: Arena) -> Reading:
        with arena.stage() as stage:
            stage.environment["STRESS_TASKQ"] = json.dumps({"LISTEN": False})
            self._start_pool(stage)
            # The enqueuers' own setting is the default: without LISTEN they would be behind a
            # pooler, and prepare no statements.
            del stage.environment["STRESS_TASKQ"]
            return self._pour(arena, stage)


SCENARIOS: list[Scenario] = [
    Committers(
        "notify-sleeping",
        "enqueue by 8 committers while a pool sleeps (it serves another queue)",
        "-Q",
        "elsewhere",
    ),
    Committers("notify-busy", "enqueue by 8 committers into a busy pool, -c 8"),
    Listening("notify-listening", "enqueue by 8 committers into a busy pool that listens, -c 8"),
]
