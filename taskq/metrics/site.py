"""The metrics of all pools of a database, for those who scrape the site.

No query counts the rows of a task table, so a scrape costs the same with ten tasks and with ten
million. The names differ from those of a pool, so a Prometheus that scrapes both adds up nothing
twice.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping

from django.db import connections
from django.db.models import Count
from django.db.models.functions import Now
from django.utils import timezone
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from taskq import pausing, sql, statistics
from taskq.models import Worker
from taskq.overview import WORKERS
from taskq.task.measures import Figures

HOUR = datetime.timedelta(hours=1)
QUANTILES = (0.5, 0.95, 0.99)
#: The most lanes that are shown. A lane is a queue with a priority.
MANY_LANES = 500


class SiteCollector(Collector):
    """Reads the database by a few small queries.

    alias: of the database with the tasks.
    """

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def collect(self) -> Iterator[Metric]:
        yield from self._workers()
        yield from self._lanes()
        yield self._paused()
        yield from _last_hour(
            statistics.figures(self._alias, since=timezone.now() - HOUR, by="name")
        )

    def _workers(self) -> Iterator[Metric]:
        alive = Worker.objects.using(self._alias).filter(
            name__startswith=WORKERS, lease_expires_at__gt=Now()
        )
        found = alive.aggregate(workers=Count("pk"), pools=Count("pool", distinct=True))
        yield GaugeMetricFamily(
            "taskq_workers_alive", "Workers with a good lease, in all pools.", found["workers"]
        )
        yield GaugeMetricFamily("taskq_pools_alive", "Pools with such workers.", found["pools"])

    def _lanes(self) -> Iterator[Metric]:
        oldest = GaugeMetricFamily(
            "taskq_oldest_due_seconds",
            "How long the first due task of a queue and priority has waited; 0 if none is due.",
            labels=["queue", "priority"],
        )
        due = GaugeMetricFamily(
            "taskq_due_tasks",
            "Due tasks of a queue and priority. It stops counting at some hundreds or thousands.",
            labels=["queue", "priority"],
        )
        connection = connections[self._alias]
        with connection.cursor() as cursor:
            cursor.execute(sql.depths_of(connection.vendor).DEPTHS, {"lanes": MANY_LANES})
            rows = cursor.fetchall()
        for queue, priority, _most, count, _later, waited, *_first in rows:
            if queue is not None:
                labels = [str(queue), str(priority)]
                # None: SQLite may hold a value that is no time.
                oldest.add_metric(labels, max(0.0, waited or 0.0))
                due.add_metric(labels, count)
        yield from (oldest, due)
        yield GaugeMetricFamily(
            "taskq_workflow_stands_still",
            "1 while a workflow does not go on because a step of it has failed.",
            int(any(row[-1] for row in rows)),
        )

    def _paused(self) -> Metric:
        family = GaugeMetricFamily(
            "taskq_queue_paused", "1 for each paused queue.", labels=["queue"]
        )
        for pause in pausing.paused(using=self._alias):
            family.add_metric([pause.queue], 1)
        return family


def _last_hour(by_name: Mapping[str, Figures]) -> Iterator[Metric]:
    ended = GaugeMetricFamily(
        "taskq_last_hour_runs",
        "Runs that ended in the last hour, by how they ended.",
        labels=["name", "end"],
    )
    ran = GaugeMetricFamily(
        "taskq_last_hour_run_seconds",
        "The run time that this share of the runs of the last hour did not exceed.",
        labels=["name", "quantile"],
    )
    waited = GaugeMetricFamily(
        "taskq_last_hour_wait_seconds",
        "How long this share of them had been due at most before they started.",
        labels=["name", "quantile"],
    )
    for name, figures in by_name.items():
        for end, count in figures.ends.items():
            ended.add_metric([name, end], count)
        for share in QUANTILES:
            labels = [name, str(share)]
            for family, seconds in ((ran, figures.run_time), (waited, figures.wait_time)):
                if (found := seconds(share)) is not None:
                    family.add_metric(labels, found)
    yield from (ended, ran, waited)
