"""The costs of a pool of 8: queries and CPU while it waits, and memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from stress.bench.arena import STAGE, Arena
from stress.bench.contestants import OURS, Contestant
from stress.bench.queue import WARM_UP
from stress.bench.scenario import Reading, Scenario
from stress.bench.stage import Stage, Workers
from stress.rig import footprint
from stress.rig.pools import TITLE

#: Seconds that an idle pool is watched.
LONG, SHORT = 60.0, 10.0
#: Seconds that it is left alone before that. A heartbeat (10 s) after its start it prunes, and then
#: rarely.
CALM = 12.0
#: Tasks that each pool has run before its memory is taken.
WORN_IN = 400


class IdleQueries(Scenario):
    """Statements in the server's log in a second, with BEGIN and COMMIT."""

    name = "idle-queries"
    title = "queries of an idle pool, -c 8"
    unit = "queries/s"
    quick_peers = ()

    def ours(self, arena: Arena) -> Reading:
        return self._measure(arena, OURS)

    def peer(self, arena: Arena, peer: Contestant) -> Reading | None:
        return self._measure(arena, peer) if peer.store == "postgresql" else None

    def _measure(self, arena: Arena, contestant: Contestant) -> Reading:
        seconds = _seconds(arena)
        with arena.stage(contestant) as stage:
            arena.log.watch(stage.url)
            with _idle(stage):
                since = arena.log.here()
                time.sleep(seconds)
                statements = arena.log.statements(since, STAGE)
        seen = sorted({" ".join(statement.text.split())[:80] for statement in statements})
        return Reading(len(statements) / seconds, {"statements": seen})


class IdleCpu(Scenario):
    """CPU time of all processes of the pool, without that of the database."""

    name = "idle-cpu"
    title = "CPU of an idle pool, -c 8"
    unit = "% of a core"
    shows = ("CPU seconds a minute",)
    quick_peers = ()

    def ours(self, arena: Arena) -> Reading:
        return self.peer(arena, OURS)

    def peer(self, arena: Arena, peer: Contestant) -> Reading:
        seconds = _seconds(arena)
        with arena.stage(peer) as stage, _idle(stage) as workers:
            tree = workers.tree()
            before = footprint.cpu_seconds(tree)
            time.sleep(seconds)
            spent = footprint.cpu_seconds(tree) - before
        return Reading(100 * spent / seconds, {"CPU seconds a minute": 60 * spent / seconds})


class Memory(Scenario):
    """PSS of the whole tree after some hundred tasks: shared pages count once."""

    name = "memory-c8"
    title = "memory of -c 8, all processes"
    unit = "MiB"
    limit_is = "one worker alone (RSS)"

    def ours(self, arena: Arena) -> Reading:
        return self.peer(arena, OURS)

    def limit(self, arena: Arena) -> Reading:
        with arena.stage() as stage:
            return Reading(max(map(footprint.resident_memory, _workers(_worn_in(stage, 1)))))

    def peer(self, arena: Arena, peer: Contestant) -> Reading:
        with arena.stage(peer) as stage:
            tree = _worn_in(stage, 8).tree()
            return Reading(footprint.proportional_memory(tree), {"processes": len(tree)})


@contextmanager
def _idle(stage: Stage) -> Iterator[Workers]:
    """A pool of 8 that has run one task and then waited for a while."""
    workers = stage.start_workers(8)
    stage.run("send", "noop", 1)
    stage.watch(workers, seconds=30, until=lambda done: done >= WARM_UP + 1)
    time.sleep(CALM)
    yield workers


def _worn_in(stage: Stage, concurrency: int) -> Workers:
    stage.run("fill", "noop", WORN_IN)
    workers = stage.start_workers(concurrency)
    stage.watch(workers, seconds=30, until=lambda done: done >= WORN_IN)
    return workers


def _workers(workers: Workers) -> list[psutil.Process]:
    return [
        each for each in workers.tree() if " ".join(each.cmdline()).startswith(TITLE + "worker")
    ]


def _seconds(arena: Arena) -> float:
    return SHORT if arena.quick else LONG


SCENARIOS: list[Scenario] = [IdleQueries(), IdleCpu(), Memory()]
