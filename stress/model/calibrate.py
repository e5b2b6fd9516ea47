"""Measures the costs of the real statements on an embedded PostgreSQL."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg

from stress.model.costs import Costs, Line
from stress.rig.footprint import cpu_seconds
from stress.rig.pools import Pool, wait_until
from stress.rig.postgres import NEWEST
from stress.tune.bed import Bed

if TYPE_CHECKING:  # Django may not be loaded before the bed is made
    from taskq.store.claims import Lane
    from taskq.store.tasks import TaskStore
    from taskq.task.claimed import Run

#: Tasks that wait in the table while claims are measured.
BACKLOG = 20_000
#: How often each statement is measured.
TIMES = 400
_LEASE = 3600.0


@dataclass(frozen=True)
class Sample:
    """The costs of one call: CPU time of the backend, and elapsed time."""

    cpu: float
    wall: float


class Meter:
    """Measures calls to one backend."""

    def __init__(self, backend: int) -> None:
        self._backend = [psutil.Process(backend)]

    def measure(self, call: Callable[[], object], times: int = TIMES) -> Sample:
        began, cpu = time.perf_counter(), cpu_seconds(self._backend)
        for _ in range(times):
            call()
        wall = time.perf_counter() - began
        return Sample((cpu_seconds(self._backend) - cpu) / times, wall / times)


def calibrate(bed: Bed) -> Costs:
    """All costs. Linux only, because the kernel measures the CPU time of the backends."""
    from taskq.store import connecting

    ours = connecting.connect("default", lease=_LEASE, name="taskq calibrate")
    with psycopg.connect(bed.url, autocommit=True) as session:
        (pid,) = _row(
            session,
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'taskq calibrate'",
        )
        meter = Meter(pid)
        lanes_idle = _lanes(meter, ours)
        enqueue = _enqueue(bed)
        renew, expired = _heartbeats(meter, ours, session)
        lanes = _lanes(meter, ours)
        claim, finish, write = _claims(meter, ours, session)
        locked = _locked(meter, ours, session, bed.url)
        retire = _retire(meter, ours)
        backend_kib = psutil.Process(pid).memory_full_info().uss / 1024
    ours.close()
    bed.clear()
    cycle, task = _client(bed)
    round_trip = lanes.wall - lanes.cpu
    return Costs(
        renew=renew,
        expired=expired,
        claim=claim,
        finish=finish,
        locked=locked,
        retire=retire,
        enqueue=enqueue,
        lanes=lanes.cpu,
        lanes_idle=lanes_idle.cpu,
        flush=max(0.0, write.wall - write.cpu - round_trip),
        round_trip=round_trip,
        client_cycle=cycle,
        client_task=task,
        backend_kib=backend_kib,
        made=(
            f"{os.cpu_count()} cores ({platform.machine()}), PostgreSQL {NEWEST}, "
            f"Python {platform.python_version()}"
        ),
    )


def _row(session: psycopg.Connection, statement: str) -> tuple[int, ...]:
    row = session.execute(statement.encode()).fetchone()
    assert row is not None
    return row


def _line(points: Iterable[tuple[float, float]]) -> Line:
    numbers, seconds = zip(*points, strict=True)
    fit = statistics.linear_regression(numbers, seconds)
    return Line(max(0.0, fit.intercept), max(0.0, fit.slope))


def _enqueue(bed: Bed) -> float:
    """Fill the table with the backlog. Returns the cost of one enqueue."""
    from django.db import connection

    from stress.project.lab import tasks

    connection.ensure_connection()
    meter = Meter(connection.connection.info.backend_pid)
    numbers = iter(range(BACKLOG))
    return meter.measure(lambda: tasks.fast.delay(f"n {next(numbers)}"), BACKLOG).cpu


def _heartbeats(meter: Meter, ours: TaskStore, session: psycopg.Connection) -> tuple[Line, Line]:
    """The costs of a renewal by its leases, and of a look for dead leases by the table's rows."""
    renewals, looks, rows = [], [], 0
    for processes in (1, 10, 100, 1000, 10_000):
        names = [(f"worker {number}", number) for number in range(processes)]
        workers = list(ours.leases.give("here:1", "here", names, _LEASE).values())
        rows += processes
        if processes <= 1000:
            renew = partial(ours.leases.renew, workers, _LEASE)
            few = max(20, TIMES // processes)
            renewals.append((processes, meter.measure(renew, few).cpu))
        session.execute("VACUUM taskq_worker")
        looks.append((rows, meter.measure(ours.leases.expired, 50).cpu))
    return _line(renewals), _line(looks)


def _lanes(meter: Meter, ours: TaskStore) -> Sample:
    from taskq.task.queues import Queues

    return meter.measure(lambda: ours.lanes(Queues()))


def _claims(
    meter: Meter, ours: TaskStore, session: psycopg.Connection
) -> tuple[Line, Line, Sample]:
    """The costs of claims and finishes by their tasks, and of one such write alone."""
    from taskq.task.queues import Queues

    (worker,) = ours.leases.give("here:2", "here", [("worker 1", 1)], _LEASE).values()
    (lane,) = ours.lanes(Queues())
    claims, finishes = [], []
    for size, times in ((1, TIMES), (10, TIMES), (100, TIMES // 4)):
        held: list[list[Run]] = []
        claimed = meter.measure(partial(_claim, ours, worker, lane, size, held), times)
        assert all(len(runs) == size for runs in held), "the backlog is empty"
        finished = meter.measure(partial(_finish, ours, worker, held), times)
        claims.append((size, claimed.cpu))
        finishes.append((size, finished.cpu))
        if size == 1:
            one = finished
        session.execute("VACUUM taskq_task")
    return _line(claims), _line(finishes), one


def _claim(ours: TaskStore, worker: int, lane: Lane, size: int, held: list[list[Run]]) -> None:
    tasks = ours.claim(worker, lane, size, ["stress.project.lab.tasks.fast"])
    held.append([task.run for task in tasks])


def _finish(ours: TaskStore, worker: int, held: list[list[Run]]) -> None:
    from taskq.store import endings

    ours.end(worker, [endings.finish(run) for run in held.pop()])


def _locked(meter: Meter, ours: TaskStore, session: psycopg.Connection, url: str) -> float:
    """The cost that each task locked by another transaction adds to a claim behind it."""
    from taskq.task.queues import Queues

    (worker,) = ours.leases.give("here:3", "here", [("worker 1", 1)], _LEASE).values()
    (lane,) = ours.lanes(Queues())
    claim = partial(ours.claim, worker, lane, 1, [])
    alone = meter.measure(claim)
    session.execute("VACUUM taskq_task")
    many = 500
    with psycopg.connect(url) as other:
        other.execute(
            "SELECT id FROM taskq_task WHERE state = 0 ORDER BY execute_at, id LIMIT %s FOR UPDATE",
            [many],
        )
        behind = meter.measure(claim)
        other.rollback()
    session.execute("VACUUM taskq_task")
    return max(0.0, behind.cpu - alone.cpu) / many


def _retire(meter: Meter, ours: TaskStore) -> float:
    """The cost of reclaiming one task of a dead worker."""
    from taskq.task.queues import Queues

    (lane,) = ours.lanes(Queues())
    names = [(f"worker {number}", number) for number in range(100)]
    workers = list(ours.leases.give("here:4", "here", names, _LEASE).values())
    for worker in workers:
        ours.claim(worker, lane, 1, [])
    return meter.measure(
        lambda: ours.leases.retire(workers.pop(), ran=None, charge=True, cause="measured"), 100
    ).cpu


def _client(bed: Bed) -> tuple[float, float]:
    """A worker's CPU time for each claim-and-finish, and for each task in one.

    Measured with tasks claimed one by one, and with tasks claimed 100 at once.
    """
    from stress.project.lab import tasks

    single = _drain(bed, lambda: tasks.slow.delay_many([("single", 0.012)] * 400))
    batched = _drain(bed, lambda: tasks.fast.delay_many([("batched",)] * 200_000))
    return max(0.0, single - batched), batched


def _drain(bed: Bed, send: Callable[[], object]) -> float:
    """CPU time for each sent task in the only worker of a real pool."""
    from taskq.models import Task

    send()
    pool = bed.start_pool("-c", 1, direct=True, history=Path(os.devnull))
    try:
        bed.wait_ready(pool, 1)
        worker = [psutil.Process(_worker(pool))]
        cpu, left = cpu_seconds(worker), Task.objects.count()
        wait_until(lambda: not Task.objects.exists(), seconds=60, what="the tasks done")
        return (cpu_seconds(worker) - cpu) / left
    finally:
        bed.clear()


def _worker(pool: Pool) -> int:
    return pool.children("worker")["worker 1"]
