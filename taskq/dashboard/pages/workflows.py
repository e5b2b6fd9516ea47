"""The workflows that were sent: those that stand still first, then those that go on."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from taskq.dashboard import workflow_queries
from taskq.dashboard.page import Page


class Workflows(Page):
    title = _("Workflows")
    entry = "workflows"
    template_name = "taskq/dashboard/workflows.html"
    live = "taskq/dashboard/live/workflows.html"

    def look(self) -> dict[str, Any]:
        return {"lists": workflow_queries.lists(self.alias)}
