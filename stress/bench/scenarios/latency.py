"""How soon a task starts after its commit.

Each task notes the time of its start on the clock that all processes share; the sender
notes when the call that sent it returned. Tasks are sent at random moments.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from stress.bench import work
from stress.bench.arena import Arena
from stress.bench.contestants import DJANGO_DOOR, DJANGO_PEERS, EVERYBODY, OURS, Contestant
from stress.bench.figures import percentile
from stress.bench.queue import UNREPORTED, WARM_UP, Unsupported
from stress.bench.scenario import Reading, Scenario
from stress.bench.stage import Stage, Workers
from stress.bench.work import NAP
from stress.rig import footprint
from stress.rig.pools import wait_until

RAW = "stress.bench.raw"
#: Seconds between the raw loop's tasks: it hears of each at once, however rare they are.
LIMIT_GAP = 0.030
#: The same between those of an idle pool, and the name under which it stands beside a row.
IDLE_GAP = 0.15
IDLE_POOL = "an idle pool"
#: Tasks a second that are many for an idle pool, and few for a busy one.
TRICKLES = (5, 20, 100)


class Latency(Scenario):
    """A pool of 8 that waits, and a task from time to time. The value is the median.

    gap: seconds from one task to the next on average. door: who sends and runs. rivals: the
    names of the peers that take part. beside_idle: measure an idle pool in each round too.
    """

    unit = "ms"
    limit_is = "raw NOTIFY in the insert's commit, LISTEN, claim of one row"
    quick_peers = ("Celery", "Procrastinate", "Huey")
    shows = ("p95", "p99", "CPU ms a task")

    def __init__(
        self,
        name: str,
        title: str,
        gap: float,
        door: Contestant = OURS,
        rivals: Collection[str] = EVERYBODY,
        *,
        beside_idle: bool = False,
    ) -> None:
        self.name = name
        self.title = title
        self.gap = gap
        self._door = door
        self._rivals = rivals
        self._beside_idle = beside_idle
        if door is DJANGO_DOOR:
            self.quick_peers = DJANGO_PEERS

    def ours(self, arena: Arena) -> Reading:
        return self._measure(arena, self._door, self.gap)

    def limit(self, arena: Arena) -> Reading:
        count = count_of(arena, LIMIT_GAP)
        with arena.stage() as stage:
            stage.start(RAW, "listen")
            stage.module(RAW, "ping", "--gap", LIMIT_GAP, "--count", 1)
            stage.starts.write_bytes(b"")
            return latencies(stage, stage.module(RAW, "ping", "--gap", LIMIT_GAP, "--count", count))

    def beside(self, arena: Arena) -> dict[str, Callable[[], Reading]]:
        if not self._beside_idle:
            return {}
        return {IDLE_POOL: lambda: self._measure(arena, self._door, IDLE_GAP)}

    def peer(self, arena: Arena, peer: Contestant) -> Reading | None:
        return self._measure(arena, peer, self.gap) if peer.name in self._rivals else None

    def _measure(self, arena: Arena, contestant: Contestant, gap: float) -> Reading:
        count = count_of(arena, gap)
        with arena.stage(contestant) as stage:
            tree = wake(stage, 8).tree()
            before = footprint.cpu_seconds(tree)
            reading = latencies(stage, stage.run("ping", "mark", gap, count))
            spent = footprint.cpu_seconds(tree) - before
            reading.detail["CPU ms a task"] = 1000 * spent / (count + UNREPORTED)
            return reading


class LatencyHalfLoad(Scenario):
    """Two workers that spend half of their time on 5 ms tasks."""

    name = "latency-half-load"
    title = "start latency at 50 % load, 5 ms tasks, -c 2, p50"
    unit = "ms"
    quick_peers = ("Celery", "Procrastinate")
    shows = ("p95", "p99")

    def ours(self, arena: Arena) -> Reading:
        return self.peer(arena, OURS)

    def peer(self, arena: Arena, peer: Contestant) -> Reading:
        if peer.pace / 4 < 1 / NAP:
            raise Unsupported("two of its workers cannot run 200 tasks a second")
        with arena.stage(peer) as stage:
            wake(stage, 2)
            count = 15 * count_of(arena, IDLE_GAP)
            return latencies(stage, stage.run("ping", "nap_and_mark", NAP, count))


def count_of(arena: Arena, gap: float) -> int:
    """So many that their p99 is not chance, however short the gaps are."""
    least, seconds = (30, 2.0) if arena.quick else (200, 10.0)
    return max(least, round(seconds / gap))


def wake(stage: Stage, concurrency: int) -> Workers:
    """Start the workers and run something, so that everything is loaded."""
    workers = stage.start_workers(concurrency)
    stage.run("send", "noop", 1)
    stage.watch(workers, seconds=30, until=lambda done: done >= WARM_UP + 1)
    return workers


def latencies(stage: Stage, sent: list[tuple[int, int]]) -> Reading:
    """Milliseconds from the commit to the start."""
    wait_until(
        lambda: {number for number, _ in sent} <= set(work.starts(stage.starts)),
        what="each task started",
    )
    started = work.starts(stage.starts)
    values = [(started[number] - at) / 1e6 for number, at in sent]
    detail = {f"p{percent}": percentile(values, percent) for percent in (50, 95, 99)}
    return Reading(detail["p50"], {**detail, "ms": [round(value, 3) for value in values]})


SCENARIOS: list[Scenario] = [
    Latency("latency-idle", "start latency on an idle pool, -c 8, p50", IDLE_GAP),
    *(
        Latency(
            f"latency-trickle-{rate}",
            f"start latency at {rate} tasks a second, -c 8, p50",
            1 / rate,
            rivals=EVERYBODY if rate == 20 else (),
            beside_idle=True,
        )
        for rate in TRICKLES
    ),
    Latency(
        "latency-django",
        "start latency of Django's @task on an idle pool, -c 8, p50",
        IDLE_GAP,
        DJANGO_DOOR,
        DJANGO_PEERS,
    ),
    LatencyHalfLoad(),
]
