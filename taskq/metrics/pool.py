"""The metrics of one pool, read from its scoreboard at each scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

import django
from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector

from pool import Contact, Scoreboard, Slot, clock, kernel
from taskq import __version__
from taskq.counted import counted
from taskq.metrics.probes import condition, workers
from taskq.pool_context import KEEPER
from taskq.task.measures import BOUNDS, Figures, name_and_queue

#: The name and queue of what has no counters of its own. No task can have this name.
OTHERS = "(others)"
#: The upper bounds of the buckets, as Prometheus writes them.
_BOUNDS = [*map(str, BOUNDS), "+Inf"]
#: What a worker may do: each has a value, be it 0, so that a graph has no gaps.
CONDITIONS = ("booting", "idle", "busy", "stopped")


class PoolCollector(Collector):
    """Reads the scoreboard. The numbers of workers and of task names bound what it returns."""

    def __init__(self, scoreboard: Scoreboard) -> None:
        self._scoreboard = scoreboard

    def collect(self) -> Iterator[Metric]:
        found = workers(self._scoreboard)
        yield from self._of_runs()
        yield from _of_workers(found)
        yield self._restarts()
        yield from self._of_leases(found)
        yield InfoMetricFamily(
            "taskq_build",
            "The versions that the pool runs.",
            {"version": __version__, "django": django.get_version()},
        )

    def _of_runs(self) -> Iterator[Metric]:
        runs = CounterMetricFamily(
            "taskq_runs", "Runs that ended, by how they ended.", labels=["name", "queue", "end"]
        )
        ran = HistogramMetricFamily(
            "taskq_run_seconds",
            "How long runs took that ended by themselves.",
            labels=["name", "queue"],
        )
        waited = HistogramMetricFamily(
            "taskq_wait_seconds",
            "How long their tasks had been due before they started.",
            labels=["name", "queue"],
        )
        for key, row in counted(self._scoreboard).items():
            # A pool has counters for so many names. The others are counted together.
            labels = list(name_and_queue(key)) if key else [OTHERS, OTHERS]
            figures = Figures.of(row)
            for end, count in figures.ends.items():
                runs.add_metric([*labels, end], count)
            ran.add_metric(labels, _buckets(figures.run), figures.run_seconds)
            waited.add_metric(labels, _buckets(figures.wait), figures.wait_seconds)
        yield from (runs, ran, waited)

    def _restarts(self) -> Metric:
        family = CounterMetricFamily(
            "taskq_worker_restarts",
            "Workers that ended, by cause; exit_0 is a clean end.",
            labels=["cause"],
        )
        for cause, count in self._scoreboard.ends().items():
            family.add_metric([cause.name.lower() if cause is not None else "exit_0"], count)
        return family

    def _of_leases(self, found: list[Slot]) -> Iterator[Metric]:
        now, keeper = clock.now(), self._scoreboard.slots[KEEPER]
        left = [slot.lease_deadline - now for slot in found if slot.held_lease()]
        yield GaugeMetricFamily(
            "taskq_lease_seconds_left",
            "The time until the first lease of a worker ends, if it is not renewed.",
            min(left, default=0) / clock.SECOND,
        )
        yield GaugeMetricFamily(
            "taskq_keeper_beat_age_seconds",
            "The time since the keeper last went round.",
            (now - keeper.beat) / clock.SECOND,
        )
        yield CounterMetricFamily(
            "taskq_keeper_restarts",
            "Keepers that were replaced.",
            max(0, keeper.generation - 1),
        )
        yield GaugeMetricFamily(
            "taskq_database_up",
            "1 while the database answers the keeper and has all tables.",
            int(self._scoreboard.contact is Contact.GOOD),
        )


def _of_workers(found: list[Slot]) -> Iterator[Metric]:
    now = clock.now()
    states = Counter(condition(slot) for slot in found)
    family = GaugeMetricFamily("taskq_workers", "Workers by what they do.", labels=["state"])
    for state in CONDITIONS:
        family.add_metric([state], states[state])
    yield family
    # The time is read before the id: a run that begins in between counts as longer, for once.
    runs = [now - slot.since for slot in found if slot.task_id]
    yield GaugeMetricFamily(
        "taskq_longest_run_seconds",
        "How long the longest of the runs in progress has taken so far.",
        max(runs, default=0) / clock.SECOND,
    )
    memory = GaugeMetricFamily(
        "taskq_worker_resident_bytes",
        "Resident memory of each worker. Memory that workers share counts for each.",
        labels=["worker"],
    )
    for slot in found:
        if kib := kernel.resident_kib(slot.pid):
            memory.add_metric([str(slot.number)], kib * 1024)
    yield memory


def _buckets(counts: Sequence[int]) -> list[tuple[str, float]]:
    """A histogram as Prometheus has it: each bucket with all that are below it."""
    return list(zip(_BOUNDS, map(float, accumulate(counts)), strict=True))
