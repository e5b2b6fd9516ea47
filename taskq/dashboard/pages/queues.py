"""All queues: what waits in each, what it did, and the buttons that pause and resume it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext_lazy as _

from taskq.dashboard import queries, worker_queries
from taskq.dashboard.page import Page
from taskq.dashboard.queries import Amount
from taskq.models import PausedQueue
from taskq.statistics import Figures


@dataclass
class Row:
    """A queue.

    Attributes:
        due, later: How many tasks wait for a worker, and for their time.
        waited: How many seconds the oldest due task has waited. None: none is due.
        workers: How many living workers serve it.
        figures: Its runs in the time that was chosen.
        pause: The pause; None when it is not paused.
    """

    queue: str
    due: Amount = field(default_factory=Amount)
    later: Amount = field(default_factory=Amount)
    waited: float | None = None
    workers: int = 0
    figures: Figures = field(default_factory=Figures)
    pause: PausedQueue | None = None

    @property
    def unserved(self) -> bool:
        """Whether tasks are due for which there is no worker."""
        return bool(self.due) and not self.workers and self.pause is None


class Queues(Page):
    title = _("Queues")
    entry = "queues"
    template_name = "taskq/dashboard/queues.html"
    live = "taskq/dashboard/live/queues.html"

    def look(self) -> dict[str, Any]:
        return {"rows": rows(self.alias, self.scope)}


def rows(alias: str, scope: Any) -> list[Row]:
    """The queue with the oldest due task first. One is listed if something waits in it, ran in
    it, or names it."""
    figures, pauses = queries.by(alias, scope, "queue"), queries.pauses(alias)
    names = queries.known_queues() | figures.keys() | pauses.keys()
    found = {name: Row(name) for name in names}
    for lane in queries.lanes(alias):
        row = found.setdefault(lane.queue, Row(lane.queue))
        row.due += lane.due
        row.later += lane.later
        if lane.due:
            row.waited = max(row.waited or 0.0, lane.waited)
    alive = [worker for worker in worker_queries.workers(alias).all if worker.alive]
    for name, row in found.items():
        row.figures, row.pause = figures.get(name, row.figures), pauses.get(name)
        row.workers = sum(worker.admits(name) for worker in alive)
    return sorted(found.values(), key=lambda row: (-(row.waited or 0.0), row.queue))
