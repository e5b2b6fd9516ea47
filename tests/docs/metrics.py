"""The metrics that there are, with their labels: what pages and their files may name."""

from __future__ import annotations

import os

from django.utils import timezone
from prometheus_client import Metric
from prometheus_client.registry import Collector

from pool import Scoreboard, State
from taskq.metrics.pool import PoolCollector
from taskq.metrics.site import SiteCollector
from taskq.models import PausedQueue, Rollup
from taskq.models.statistics import Step
from taskq.task.measures import COLUMNS, key
from tests.project.lab import tasks

_SUFFIXES = {"counter": "_total", "info": "_info"}


def of_pool() -> Collector:
    """Of a pool of one worker, which is this process."""
    scoreboard = Scoreboard(2, columns=COLUMNS)
    worker = scoreboard.slots[1]
    worker.pid, worker.number, worker.state = os.getpid(), 1, State.BUSY
    worker.counters.add(worker.counters.row(key("shop.send", "mail")), [1] * COLUMNS)
    return PoolCollector(scoreboard)


def of_site() -> Collector:
    """Of a site with a task, a run and a paused queue. It writes them to the test's database."""
    at = timezone.now().replace(second=0, microsecond=0)
    ran = {"done": 1, "run_08": 1, "wait_02": 1}
    Rollup.objects.create(step=Step.MINUTE, at=at, name="shop.send", queue="mail", pool="a", **ran)
    PausedQueue.objects.create(queue="mail")
    tasks.noop.delay()
    return SiteCollector("default")


def name(family: Metric) -> str:
    """The name that Prometheus shows."""
    return family.name + _SUFFIXES.get(family.type, "")


def labels(family: Metric) -> frozenset[str]:
    """The labels of a metric, without the one that its buckets have."""
    return frozenset(label for each in family.samples for label in each.labels) - {"le"}
