"""The first page: does work flow, what is stuck, what runs now, what ran last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from taskq import conf
from taskq.dashboard import queries, shown, worker_queries
from taskq.dashboard.page import Page
from taskq.dashboard.queries import Amount, Lane, Series, known_queues
from taskq.dashboard.worker_queries import Workers
from taskq.statistics import Figures, total
from taskq.task import registry

#: The most rows of each table of this page. Other pages have more.
ROWS = 10
#: Seconds that a task may be due before the page says so in its first line.
LONG = 60.0


@dataclass(frozen=True)
class Verdict:
    """Whether work flows, in a sentence. kind: "good", "idle", "warn" or "bad"."""

    kind: str
    text: str


class Overview(Page):
    title = _("Overview")
    entry = "overview"
    template_name = "taskq/dashboard/overview.html"
    live = "taskq/dashboard/live/overview.html"

    def look(self) -> dict[str, Any]:
        chosen, settings = self.scope, conf.settings()
        filtered = chosen.name or chosen.queue
        # No index tells which names wait: a lane is shown whatever the name that was chosen.
        found = queries.waiting(self.alias)
        waiting = [lane for lane in found.lanes if chosen.queue in ("", lane.queue)]
        workers = worker_queries.workers(self.alias)
        series = queries.series(self.alias, chosen)
        recent = queries.recent(self.alias, name=chosen.name or None, limit=ROWS)
        whole = total(figures for _at, figures in series)
        due = [lane for lane in waiting if lane.due]
        running = [
            run
            for run in workers.running
            if chosen.queue in ("", run.queue) and chosen.name in ("", run.name)
        ]
        return {
            "verdict": verdict(due, workers, whole),
            "stands_still": found.stands_still,
            "tiles": tiles(series, whole),
            "due": sum((lane.due for lane in waiting), Amount()),
            "later": sum((lane.later for lane in waiting), Amount()),
            "lanes": due[:ROWS],
            "more_lanes": len(due[ROWS:]),
            "workers": workers,
            "running": running[:ROWS],
            "more_running": len(running[ROWS:]),
            "recent": recent,
            "new": settings.recent_runs and not (recent or whole.runs or waiting or filtered),
            "off": not settings.statistics,
        }

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        series = queries.series(self.alias, self.scope)
        return super().get_context_data(
            **kwargs, series=series[::-1], names=self._names(), queues=self._queues()
        )

    def _names(self) -> list[str]:
        """The names to choose from: those that this process knows, and the chosen one."""
        return sorted({*registry.names(), *filter(None, [self.scope.name])})

    def _queues(self) -> list[str]:
        waiting = {lane.queue for lane in queries.lanes(self.alias)}
        return sorted(waiting | known_queues() | set(filter(None, [self.scope.queue])))


def verdict(due: list[Lane], workers: Workers, whole: Figures) -> Verdict:
    """The worst of what a person should know first. What waits in a paused queue was meant to."""
    paused, due = bool(due), [lane for lane in due if not lane.paused]
    oldest = max((lane.waited for lane in due), default=0.0)
    if not workers.alive:
        if due:
            return Verdict("bad", gettext("Tasks wait, and no worker is alive."))
        return Verdict("warn", gettext("No worker is alive."))
    if oldest > LONG:
        text = gettext("The oldest due task has waited for %(time)s.")
        return Verdict("warn", text % {"time": shown.span(60.0 * (oldest // 60))})
    busy = len(workers.running)
    if not busy and not due and paused:
        return Verdict("idle", gettext("What is due waits in paused queues."))
    if not busy and not due:
        return Verdict("idle", gettext("All done: nothing is due."))
    text = ngettext("Work flows: %(count)d task runs.", "Work flows: %(count)d tasks run.", busy)
    return Verdict("good", text % {"count": busy})


def tiles(series: Series, whole: Figures) -> dict[str, Any]:
    """The figures at the top of the page, each with its small chart."""
    # The last step is not over: drawn beside the others it would look like a fall.
    steps = [figures for _at, figures in series[:-1]]
    return {
        "whole": whole,
        "runs": [figures.runs for figures in steps],
        "failed": [figures.failed for figures in steps],
        "lost": [figures.lost for figures in steps],
        "wait": [figures.wait_time(0.95) or 0.0 for figures in steps],
        "run": [figures.run_time(0.95) or 0.0 for figures in steps],
        "wait_times": [(share, whole.wait_time(share / 100)) for share in (50, 95, 99)],
        "run_times": [(share, whole.run_time(share / 100)) for share in (50, 95, 99)],
    }
