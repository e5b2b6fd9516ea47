"""What a workflow costs: how soon the steps of a chain follow each other, and how fast a group is
drained."""

from __future__ import annotations

from stress.bench.arena import Arena
from stress.bench.load.workflows import LENGTH
from stress.bench.scenario import Reading, Scenario
from stress.bench.scenarios.drain import NOOPS, emptied, full, watch
from stress.bench.scenarios.latency import IDLE_GAP, count_of, latencies, wake

SENDER = "stress.bench.load.workflows"
#: Parts of a group.
PARTS = 10_000
#: Seconds that a drain of it may take.
MOST = 30.0


class Chain(Scenario):
    """Milliseconds from the commit of a chain to the start of its last step. The value is the
    median."""

    name = "latency-chain"
    title = f"a chain of {LENGTH} no-op tasks on an idle pool, to the start of the last, p50"
    unit = "ms"
    shows = ("p95", "p99")

    def ours(self, arena: Arena) -> Reading:
        with arena.stage() as stage:
            wake(stage, 8)
            return latencies(
                stage, stage.module(SENDER, "chains", IDLE_GAP, count_of(arena, IDLE_GAP))
            )


class Group(Scenario):
    """A group of no-ops with a body, beside as many no-ops that are no steps."""

    name = "drain-group-c8"
    title = f"drain a group of {PARTS:,} no-op tasks with its body, -c 8"
    unit = "tasks/s"
    limit_is = "taskq's own drain of as many no-op tasks"

    def ours(self, arena: Arena) -> Reading:
        with arena.stage() as stage:
            stage.module(SENDER, "group", PARTS)
            reading = watch(stage, stage.start_workers(8), PARTS + 1, MOST)
            emptied(stage)
            return reading

    def limit(self, arena: Arena) -> Reading:
        with full(arena, NOOPS, PARTS) as stage:
            return watch(stage, stage.start_workers(8), PARTS, MOST)


SCENARIOS: list[Scenario] = [Chain(), Group()]
