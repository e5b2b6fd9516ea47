"""Search: a task by whatever a person has of it."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from taskq.dashboard.page import Page
from taskq.dashboard.searching import NEWEST, search

#: The most characters of what is searched for. More than a row's name or queue has.
LENGTH = 300


class Search(Page):
    title = _("Search")
    entry = "search"
    template_name = "taskq/dashboard/search.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        text = self.request.GET.get("q", "").replace("\0", "").strip()[:LENGTH]
        found = search(self.alias, text) if text else []
        return super().get_context_data(**kwargs, text=text, found=found, newest=NEWEST)
