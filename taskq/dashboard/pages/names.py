"""All task names with their figures, and the page of one name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import Http404
from django.utils.translation import gettext_lazy as _

from taskq.dashboard import queries, worker_queries
from taskq.dashboard.page import Page
from taskq.dashboard.pages.overview import tiles
from taskq.statistics import Figures, total
from taskq.task import registry
from taskq.task.registry import Definition

#: The most names that are listed.
MANY = 300
#: The most runs that the page of a name lists.
RUNS = 50


@dataclass(frozen=True)
class Row:
    """A task name. whole: the run times of all names together, in seconds."""

    name: str
    figures: Figures
    whole: float


class Names(Page):
    title = _("Names")
    entry = "names"
    template_name = "taskq/dashboard/names.html"
    live = "taskq/dashboard/live/names.html"

    def look(self) -> dict[str, Any]:
        found = queries.by(self.alias, self.scope, "name")
        whole = sum(figures.run_seconds for figures in found.values())
        ordered = sorted(found.items(), key=lambda item: (-item[1].run_seconds, item[0]))
        idle = sorted(set(registry.names()) - found.keys())
        return {
            "rows": [Row(name, figures, whole) for name, figures in ordered[:MANY]],
            "more": len(ordered[MANY:]),
            "idle": idle[:MANY],
        }


class Name(Page):
    """One name: its figures over time, and its last runs."""

    entry = "names"
    template_name = "taskq/dashboard/name.html"
    live = "taskq/dashboard/live/name.html"

    @property
    def title(self) -> str:  # type: ignore[override]
        if not self.scope.name:
            raise Http404("the address names no task: ?name=")
        return self.scope.name

    def look(self) -> dict[str, Any]:
        series = queries.series(self.alias, self.scope)
        workers = worker_queries.workers(self.alias)
        return {
            "tiles": tiles(series, total(figures for _at, figures in series)),
            "running": [run for run in workers.running if run.name == self.scope.name],
            "recent": queries.recent(self.alias, name=self.scope.name, limit=RUNS),
        }

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        series = queries.series(self.alias, self.scope)
        return super().get_context_data(**kwargs, series=series[::-1], definition=self._definition)

    @property
    def _definition(self) -> Definition | None:
        return registry.find(self.scope.name)
