"""Pools and their workers: what each runs, its lease, and the workers that died."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from django.utils.translation import gettext_lazy as _

from taskq.dashboard import queries, worker_queries
from taskq.dashboard.page import Page
from taskq.dashboard.worker_queries import Running
from taskq.statistics import total


@dataclass(frozen=True)
class Pool:
    """The workers of one supervisor."""

    name: str
    workers: list[Running]

    @property
    def alive(self) -> int:
        return sum(worker.alive for worker in self.workers)

    @property
    def busy(self) -> int:
        return sum(worker.id is not None for worker in self.workers)

    @property
    def serves(self) -> str | None:
        return self.workers[0].serves

    @property
    def since(self) -> datetime.datetime | None:
        """When its first worker started."""
        return min(filter(None, (worker.started_at for worker in self.workers)), default=None)


class Workers(Page):
    title = _("Pools and workers")
    entry = "workers"
    template_name = "taskq/dashboard/workers.html"
    live = "taskq/dashboard/live/workers.html"

    def look(self) -> dict[str, Any]:
        everything = sorted(worker_queries.workers(self.alias).all, key=_by_number)
        series = queries.series(self.alias, self.scope)
        return {
            "pools": [Pool(name, list(found)) for name, found in groupby(everything, _POOL)],
            "whole": total(figures for _at, figures in series),
            "losses": worker_queries.losses(self.alias),
        }


_POOL = attrgetter("pool")


def _by_number(worker: Running) -> tuple[str, int, str]:
    """worker 2 before worker 10."""
    return worker.pool, len(worker.worker), worker.worker
