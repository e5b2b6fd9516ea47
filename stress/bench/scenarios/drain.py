"""How fast a full queue empties.

The tasks are there before the workers start. They count themselves as they end
(stress.bench.counter), and the rate is that between the first tenth of the completions
and the last, so that neither the start of the workers nor their end counts. It is the
same for everybody, the raw loops included.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import psycopg

from stress.bench.arena import Arena
from stress.bench.contestants import (
    CELERY_DOOR,
    DJANGO_DOOR,
    DJANGO_PEERS,
    EVERYBODY,
    OURS,
    Contestant,
)
from stress.bench.figures import steady_rate
from stress.bench.queue import TASKS
from stress.bench.scenario import Reading, Scenario
from stress.bench.stage import Stage, Workers
from stress.bench.work import LONG_NAP, NAP
from stress.rig.pools import wait_until

#: Seconds that one drain is watched.
LONG, SHORT = 6.0, 2.0
#: The same for a peer in a quick run.
GLIMPSE = 1.5
RAW = "stress.bench.raw"
#: The name of the raw loop that claims rows and makes them due again.
RAW_RETRIES = "raw claim + retry"

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


@dataclass(frozen=True)
class Load:
    """What a table is full of.

    task: its name. payload: its arguments, encoded, where ``%s`` is the number of the row. pace:
    how many are drained a second at most. ends: whether a run removes its row.
    """

    task: str = "stress.bench.work.noop"
    payload: str = "[[],{}]"
    pace: int = OURS.pace
    ends: bool = True


NOOPS = Load()


class Drain(Scenario):
    """A full table, and a raw loop that empties the same table.

    loop: the module and words of the raw loop, which claims 50 rows at a time. Without one the
    limit is taskq's own drain of no-ops. processes: how many of the loop run. door: who runs the
    tasks. rivals: the names of the peers that take part.
    """

    unit = "tasks/s"

    def __init__(
        self,
        name: str,
        title: str,
        limit_is: str,
        *loop: str,
        load: Load = NOOPS,
        processes: int = 8,
        concurrency: int = 8,
        door: Contestant = OURS,
        rivals: Collection[str] = (),
    ) -> None:
        self.name = name
        self.title = title
        self.limit_is = limit_is
        self._loop = loop
        self._load = load
        self._processes = processes
        self._concurrency = concurrency
        self._door = door
        self._rivals = rivals

    def ours(self, arena: Arena) -> Reading:
        return self._by_pool(arena, self._door, self._load)

    def limit(self, arena: Arena) -> Reading:
        if not self._loop:
            return self._by_pool(arena, OURS, NOOPS)
        words = (*self._loop, "--rows", "50")
        return self._drain(
            arena, OURS, self._load, lambda stage: stage.start(*words, processes=self._processes)
        )

    def beside(self, arena: Arena) -> dict[str, Callable[[], Reading]]:
        if self._door is OURS:
            return {}
        return {CELERY_DOOR: lambda: self._by_pool(arena, OURS, self._load)}

    def peer(self, arena: Arena, peer: Contestant) -> Reading | None:
        if peer.name not in self._rivals:
            return None
        seconds = GLIMPSE if arena.quick else LONG
        return drain_peer(arena, peer, "noop", self._concurrency, seconds, peer.pace)

    def _by_pool(self, arena: Arena, door: Contestant, load: Load) -> Reading:
        return self._drain(arena, door, load, lambda stage: stage.start_workers(self._concurrency))

    def _drain(
        self, arena: Arena, door: Contestant, load: Load, start: Callable[[Stage], Workers]
    ) -> Reading:
        seconds = SHORT if arena.quick else LONG
        count = int(load.pace * seconds)
        with full(arena, load, count, door) as stage:
            reading = watch(stage, start(stage), count, seconds)
            if reading.detail["done"] == count and load.ends:
                emptied(stage)
            return reading


class Retries(Drain):
    """Runs that fail and are retried at once. A raw loop that does the same to the rows stands
    beside them: how much of the loss is the database's."""

    def beside(self, arena: Arena) -> dict[str, Callable[[], Reading]]:
        def start(stage: Stage) -> Workers:
            return stage.start(RAW, "retry", "--rows", "50", processes=4)

        return {RAW_RETRIES: lambda: self._drain(arena, OURS, FAILURES, start)}


class DrainNaps(Scenario):
    """Tasks that only sleep: is the queue or are the tasks the limit?

    task: one of stress.bench.work. seconds: that it takes.
    """

    unit = "tasks/s"

    def __init__(self, concurrency: int, task: str = "nap", seconds: float = NAP) -> None:
        length = f"{1000 * seconds:g}"
        self.name = f"drain-{length}ms-c{concurrency}"
        self.title = f"drain {length} ms tasks, -c {concurrency}"
        self.limit_is = f"{concurrency} / {length} ms"
        self.concurrency = concurrency
        self.task = task
        self.rate = concurrency / seconds
        self.least = 100 * seconds

    def ours(self, arena: Arena) -> Reading:
        # Workers end their long tasks together, in waves: a rate is that of many waves.
        seconds = max(self.least, SHORT if arena.quick else LONG)
        count = int(self.rate * seconds)
        with full(arena, Load(f"stress.bench.work.{self.task}"), count) as stage:
            return watch(stage, stage.start_workers(self.concurrency), count, seconds)

    def limit(self, arena: Arena) -> Reading:
        return Reading(self.rate)

    def peer(self, arena: Arena, peer: Contestant) -> Reading | None:
        if self.task not in TASKS:
            return None
        seconds = GLIMPSE if arena.quick else LONG
        pace = min(peer.pace, self.rate)
        return drain_peer(arena, peer, self.task, self.concurrency, seconds, pace)


def drain_peer(
    arena: Arena, peer: Contestant, task: str, concurrency: int, seconds: float, pace: float
) -> Reading:
    """The same for a peer."""
    count = int(pace * seconds)
    with arena.stage(peer) as stage:
        stage.run("fill", task, count)
        return watch(stage, stage.start_workers(concurrency), count, seconds)


def full(
    arena: Arena, load: Load, count: int, door: Contestant = OURS
) -> AbstractContextManager[Stage]:
    """A stage whose table is full of this load."""
    kind = load.task.rpartition(".")[2]
    return arena.stage(
        door,
        template=f"{kind}_{count}",
        fill=lambda connection: fill(connection, load.task, count, load.payload),
    )


#: Random, so that it is not compressed away.
LONG_TEXT = random.Random(1).randbytes(1024).hex()
TEXTS = Load("stress.bench.work.echo", f'[["{LONG_TEXT}"],{{}}]', 20_000)
FAILURES = Load("stress.bench.work.fail", pace=60_000, ends=False)
ORDERS = Load("stress.bench.load.tasks.order", "[[%s],{}]", 5_000)


def _noops(concurrency: int, processes: int, load: Load = NOOPS) -> Drain:
    return Drain(
        f"drain-noop-c{concurrency}",
        f"drain no-op tasks, -c {concurrency}",
        f"raw claim + delete, 50 rows, {processes} process(es)",
        *(RAW, "drain"),
        concurrency=concurrency,
        processes=processes,
        load=load,
        rivals=EVERYBODY,
    )


SCENARIOS: list[Scenario] = [
    _noops(1, 1, Load(pace=OURS.pace // 2)),
    _noops(2, 2),
    _noops(8, 4),
    Drain(
        "drain-django-c8",
        "drain no-op tasks of Django's @task, whose results are kept, -c 8",
        "raw claim + (delete, insert of a result), 50 rows, 4 processes",
        *(RAW, "drain-results"),
        processes=4,
        door=DJANGO_DOOR,
        rivals=DJANGO_PEERS,
    ),
    Drain(
        "drain-2kib-c8",
        "the same with 2 KiB of arguments and as much of a result",
        "raw claim + (delete, insert of a result), 50 rows, 4 processes",
        *(RAW, "drain-results"),
        load=TEXTS,
        processes=4,
        door=DJANGO_DOOR,
    ),
    Retries(
        "drain-failing-c8",
        "runs that fail and are retried at once, -c 8",
        "taskq's own drain of no-op tasks",
        load=FAILURES,
    ),
    DrainNaps(1),
    DrainNaps(2),
    DrainNaps(8),
    DrainNaps(8, "long_nap", LONG_NAP),
    Drain(
        "drain-atomic-c8",
        "drain atomic=True tasks that write a row, -c 8",
        "raw claim of 50; insert + delete in a transaction each; 8 processes",
        *(RAW, "drain-atomic"),
        load=ORDERS,
    ),
    Drain(
        "drain-atomic-django",
        "the same beside a loop that does it by Django",
        "claim of 50; insert + delete by Django's cursor in atomic() each; 8 processes",
        "stress.bench.raw_django",
        load=ORDERS,
    ),
]
