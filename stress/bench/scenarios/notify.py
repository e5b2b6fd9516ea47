"""The NOTIFY trap: PostgreSQL serializes commits that notify, so what does a pool that
listens cost those who commit?"""

from __future__ import annotations

from stress.bench.arena import Arena
from stress.bench.contestants import OURS
from stress.bench.figures import steady_rate
from stress.bench.scenario import Reading, Scenario

COMMITTERS = 8
LONG, SHORT = 10.0, 4.0


class Committers(Scenario):
    """8 processes that do nothing but ``delay()``, each in a transaction of its own.

    options: of the pool that listens.
    """

    unit = "tasks/s"
    limit_is = "the same without any pool"

    def __init__(self, name: str, title: str, *options: str) -> None:
        self.name = name
        self.title = title
        self.options = options

    def ours(self, arena: Arena) -> Reading:
        return self._pour(arena, with_pool=True)

    def limit(self, arena: Arena) -> Reading:
        return self._pour(arena, with_pool=False)

    def _pour(self, arena: Arena, *, with_pool: bool) -> Reading:
        seconds = SHORT if arena.quick else LONG
        with arena.stage() as stage:
            if with_pool:
                workers = stage.start_workers(8, *self.options)
                workers.wait_ready(9)
            committers = stage.start(OURS.module, "pour", "noop", processes=COMMITTERS)
            samples = stage.watch(committers, seconds=seconds, counter=stage.sent)
            return Reading(steady_rate(samples), {"run": stage.counter.total()})


SCENARIOS: list[Scenario] = [
    Committers(
        "notify-sleeping",
        "enqueue by 8 committers while a pool sleeps (it serves another queue)",
        "-Q",
        "elsewhere",
    ),
    Committers("notify-busy", "enqueue by 8 committers into a busy pool, -c 8"),
]
