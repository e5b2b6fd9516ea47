"""The last runs, by name, outcome and run time."""

from __future__ import annotations

import math
from typing import Any

from django.utils.translation import gettext_lazy as _

from taskq.dashboard import queries
from taskq.dashboard.page import Page
from taskq.task import registry
from taskq.task.measures import End

#: The most runs that are listed.
MANY = 100


class Runs(Page):
    title = _("Recent runs")
    entry = "runs"
    template_name = "taskq/dashboard/runs.html"
    live = "taskq/dashboard/live/runs.html"

    def look(self) -> dict[str, Any]:
        end = self._end
        filters = {
            "name": self.scope.name or None,
            "ends": () if end is None else (end,),
            "slower": self._slower,
        }
        return {"recent": queries.recent(self.alias, **filters, limit=MANY), "most": MANY}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        names = sorted({*registry.names(), *filter(None, [self.scope.name])})
        slower = self.request.GET.get("slower", "") if self._slower is not None else ""
        return super().get_context_data(
            **kwargs, names=names, ends=list(End), end=self._end, slower=slower
        )

    @property
    def _end(self) -> End | None:
        return {str(end.value): end for end in End}.get(self.request.GET.get("end", ""))

    @property
    def _slower(self) -> float | None:
        try:
            seconds = float(self.request.GET.get("slower", ""))
        except ValueError:
            return None
        return seconds if 0 < seconds < math.inf else None
