"""Compares the simulation with real pools that fit on one machine."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

import psutil
import psycopg

from stress.model.costs import Costs
from stress.model.fleet import Plan, simulate
from stress.rig.footprint import cpu_seconds
from stress.tune.bed import Bed

#: The cases: seconds of a task -> how many tasks. Claimed one by one, and in batches.
CASES = {0.02: 3000, 0.0: 400_000}
HOSTS, WORKERS, HEARTBEAT = 2, 4, 1.0
#: Seconds to measure. Tasks in batches are done after a short time.
LONG, SHORT = 5.0, 1.5


@dataclass(frozen=True)
class Measured:
    """Two real pools with a backlog of tasks of ``task`` seconds.

    done: tasks a second. utilization: the server's share of the cores, which it shares
    with the pools here.
    """

    task: float
    cores: int
    done: float
    utilization: float

    def predicted(self, costs: Costs) -> Measured:
        """The result of the simulation for the same case."""
        plan = Plan(
            hosts=HOSTS,
            workers=WORKERS,
            cores=self.cores,
            task=self.task,
            rate=None,
            lease=3 * HEARTBEAT,
            heartbeat=HEARTBEAT,
            shared=True,
        )
        outcome = simulate(plan, costs, 10.0)
        return Measured(self.task, self.cores, outcome.done, outcome.utilization)


def measure(bed: Bed) -> list[Measured]:
    """Measure each case on real pools."""
    return [_measure(bed, task, count) for task, count in CASES.items()]


def recorded(path: Path | None = None) -> list[Measured]:
    """Read a file that :func:`record` made. By default the one in this package, which was
    measured together with its costs."""
    source = path or resources.files("stress.model").joinpath("measured.json")
    return [Measured(**each) for each in json.loads(source.read_text("utf-8"))]


def record(measured: list[Measured], path: Path) -> None:
    path.write_text(json.dumps([asdict(each) for each in measured], indent=2) + "\n", "utf-8")


def _measure(bed: Bed, seconds: float, count: int) -> Measured:
    from stress.project.lab import tasks
    from taskq.models import Task

    if seconds:
        tasks.slow.delay_many((f"slow {number}", seconds) for number in range(count))
    else:
        tasks.fast.delay_many((f"fast {number}",) for number in range(count))
    options = ("-c", WORKERS, "--lease", 3 * HEARTBEAT, "--heartbeat", HEARTBEAT)
    for _ in range(HOSTS):
        bed.start_pool(*options, direct=True, history=Path(os.devnull))
    try:
        for pool in bed.pools:
            bed.wait_ready(pool, WORKERS)
        # Counted only twice, because counting keeps a core busy.
        left = Task.objects.count()
        began, cpu = time.monotonic(), _server_cpu(bed)
        time.sleep(LONG if seconds else SHORT)
        took, busy = time.monotonic() - began, _server_cpu(bed) - cpu
        done = left - Task.objects.count()
    finally:
        bed.clear()
    cores = os.cpu_count() or 1
    return Measured(seconds, cores, done / took, busy / took / cores)


def _server_cpu(bed: Bed) -> float:
    """CPU time of all processes of the server. None of its backends ends meanwhile."""
    with psycopg.connect(bed.url) as session:
        row = session.execute("SHOW data_directory").fetchone()
    assert row is not None
    server = psutil.Process(int(Path(row[0], "postmaster.pid").read_text().split()[0]))
    return cpu_seconds([server, *server.children()])
