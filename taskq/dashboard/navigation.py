"""The pages that the dashboard's menu names."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Entry:
    """A page of the menu.

    view: the name of its URL.
    title: what the menu calls it.
    """

    view: str
    title: str | Promise

    @property
    def url(self) -> str:
        return reverse(f"taskq_dashboard:{self.view}")


#: In this order.
ENTRIES = (
    Entry("overview", _("Overview")),
    Entry("queues", _("Queues")),
    Entry("names", _("Names")),
    Entry("workers", _("Workers")),
    Entry("failures", _("Failures")),
    Entry("workflows", _("Workflows")),
    Entry("runs", _("Recent runs")),
    Entry("schedules", _("Schedules")),
    Entry("search", _("Search")),
)
