"""How fast a full queue empties.

The tasks are there before the workers start. They count themselves as they end
(stress.bench.counter), and the rate is that between the first tenth of the completions
and the last, so that neither the start of the workers nor their end counts. It is the
same for everybody, the raw loops included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg

from stress.bench.arena import Arena
from stress.bench.contestants import OURS, Contestant
from stress.bench.figures import steady_rate
from stress.bench.scenario import Reading, Scenario
from stress.bench.stage import Stage, Workers
from stress.bench.work import NAP
from stress.rig.pools import wait_until

#: Seconds that one drain is watched.
LONG, SHORT = 6.0, 2.0
#: The same for a peer in a quick run.
GLIMPSE = 1.5

FILL = """
INSERT INTO taskq_task (name, payload, max_losses)
SELECT %s, format(%s, number), 3 FROM generate_series(1, %s) AS number
"""


def fill(connection: psycopg.Connection[Any], name: str, count: int, payload: str) -> None:
    connection.execute(FILL, (name, payload, count))


def watch(stage: Stage, workers: Workers, count: int, seconds: float) -> Reading:
    """The steady rate of a drain, and how much was done at what time."""
    samples = stage.watch(workers, seconds=seconds, until=lambda done: done >= count)
    return Reading(steady_rate(samples), {"done": samples[-1][1]})


def emptied(stage: Stage) -> None:
    """Wait until the rows of all runs are gone from the table too.

    Raises TimedOut.
    """
    with psycopg.connect(stage.url, autocommit=True) as connection:

        def left() -> int:
            row = connection.execute("SELECT count(*) FROM taskq_task").fetchone()
            assert row is not None
            return int(row[0])

        wait_until(lambda: left() == 0, seconds=10, what="each task that ran is gone")


class Drain(Scenario):
    """No-ops or 5 ms tasks, with so many workers.

    processes: of the raw loop, which claims 50 rows at a time.
    """

    unit = "tasks/s"

    def __init__(self, concurrency: int, *, processes: int) -> None:
        self.name = f"drain-noop-c{concurrency}"
        self.title = f"drain no-op tasks, -c {concurrency}"
        self.limit_is = f"raw claim + delete, 50 rows, {processes} process(es)"
        self.concurrency = concurrency
        self.processes = processes

    def ours(self, arena: Arena) -> Reading:
        seconds = SHORT if arena.quick else LONG
        count = int(self._pace() * seconds)
        with _full(arena, "stress.bench.work.noop", count) as stage:
            reading = watch(stage, stage.start_workers(self.concurrency), count, seconds)
            if reading.detail["done"] == count:
                emptied(stage)
            return reading

    def limit(self, arena: Arena) -> Reading:
        seconds = SHORT if arena.quick else LONG
        count = int(self._pace() * seconds)
        with _full(arena, "stress.bench.work.noop", count) as stage:
            loops = stage.start("stress.bench.raw", "drain", "--rows", 50, processes=self.processes)
            return watch(stage, loops, count, seconds)

    def peer(self, arena: Arena, peer: Contestant) -> Reading:
        seconds = GLIMPSE if arena.quick else LONG
        return drain_peer(arena, peer, "noop", self.concurrency, seconds, peer.pace)

    def _pace(self) -> int:
        return OURS.pace if self.concurrency > 1 else OURS.pace // 2


class DrainNaps(Scenario):
    """5 ms tasks: is the queue or are the tasks the limit?"""

    unit = "tasks/s"

    def __init__(self, concurrency: int) -> None:
        self.name = f"drain-5ms-c{concurrency}"
        self.title = f"drain 5 ms tasks, -c {concurrency}"
        self.limit_is = f"{concurrency} / 5 ms"
        self.concurrency = concurrency

    def ours(self, arena: Arena) -> Reading:
        seconds = SHORT if arena.quick else LONG
        count = int(self.concurrency / NAP * seconds)
        with _full(arena, "stress.bench.work.nap", count) as stage:
            return watch(stage, stage.start_workers(self.concurrency), count, seconds)

    def limit(self, arena: Arena) -> Reading:
        return Reading(self.concurrency / NAP)

    def peer(self, arena: Arena, peer: Contestant) -> Reading:
        seconds = GLIMPSE if arena.quick else LONG
        pace = min(peer.pace, self.concurrency / NAP)
        return drain_peer(arena, peer, "nap", self.concurrency, seconds, pace)


class DrainAtomic(Scenario):
    """Tasks whose effect, one row, and whose completion are one transaction.

    loop: the module and words of the loop that is the limit.
    """

    unit = "tasks/s"

    def __init__(self, name: str, title: str, limit_is: str, *loop: str) -> None:
        self.name = name
        self.title = title
        self.limit_is = limit_is
        self.loop = loop

    def ours(self, arena: Arena) -> Reading:
        return self._drain(arena, lambda stage: stage.start_workers(8))

    def limit(self, arena: Arena) -> Reading:
        return self._drain(
            arena, lambda stage: stage.start(*self.loop, "--rows", "50", processes=8)
        )

    def _drain(self, arena: Arena, start: Callable[[Stage], Workers]) -> Reading:
        seconds = SHORT if arena.quick else LONG
        count = int(5_000 * seconds)
        with _full(arena, "stress.bench.load.tasks.order", count, "[[%s],{}]") as stage:
            return watch(stage, start(stage), count, seconds)


def drain_peer(
    arena: Arena, peer: Contestant, task: str, concurrency: int, seconds: float, pace: float
) -> Reading:
    """The same for a peer."""
    count = int(pace * seconds)
    with arena.stage(peer) as stage:
        stage.run("fill", task, count)
        return watch(stage, stage.start_workers(concurrency), count, seconds)


def _full(arena: Arena, name: str, count: int, payload: str = "[[],{}]") -> Any:
    kind = name.rpartition(".")[2]
    return arena.stage(
        template=f"{kind}_{count}",
        fill=lambda connection: fill(connection, name, count, payload),
    )


SCENARIOS: list[Scenario] = [
    Drain(1, processes=1),
    Drain(2, processes=2),
    Drain(8, processes=4),
    DrainNaps(1),
    DrainNaps(2),
    DrainNaps(8),
    DrainAtomic(
        "drain-atomic-c8",
        "drain atomic=True tasks that write a row, -c 8",
        "raw claim of 50; insert + delete in a transaction each; 8 processes",
        *("stress.bench.raw", "drain-atomic"),
    ),
    DrainAtomic(
        "drain-atomic-django",
        "the same beside a loop that does it by Django",
        "claim of 50; insert + delete by Django's cursor in atomic() each; 8 processes",
        "stress.bench.raw_django",
    ),
]
