"""Over which time figures are shown, and of which tasks."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from taskq.limits import NAME_LENGTH, QUEUE_LENGTH
from taskq.statistics import Every


class Window(Enum):
    """A time up to now, and the step in which it is drawn."""

    HOUR = "hour", _("Hour"), datetime.timedelta(hours=1), Every.MINUTE
    DAY = "day", _("Day"), datetime.timedelta(days=1), Every.HOUR
    MONTH = "month", _("Month"), datetime.timedelta(days=30), Every.DAY

    def __init__(
        self, slug: str, label: str | Promise, length: datetime.timedelta, every: Every
    ) -> None:
        self.slug, self.label, self.length, self.every = slug, label, length, every

    @property
    def since(self) -> datetime.datetime:
        return timezone.now() - self.length


@dataclass(frozen=True)
class Scope:
    """What a person has chosen to see the figures of.

    name, queue: only of this task name, of this queue. Empty for all.
    """

    window: Window = Window.HOUR
    name: str = ""
    queue: str = ""

    @classmethod
    def of(cls, request: HttpRequest, **fixed: str) -> Scope:
        """The choice in the address. What cannot be in a table is no choice.

        fixed: what the page itself is about.
        """
        found = {window.slug: window for window in Window}
        chosen: dict[str, Any] = {
            "name": _text(request, "name", NAME_LENGTH),
            "queue": _text(request, "queue", QUEUE_LENGTH),
        }
        return cls(found.get(request.GET.get("over", ""), Window.HOUR), **(chosen | fixed))

    @property
    def filters(self) -> dict[str, str | None]:
        """As ``taskq.statistics`` takes them."""
        return {"name": self.name or None, "queue": self.queue or None}

    @property
    def query(self) -> str:
        """The choice, as the query of an address."""
        return self._query_for(self.window)

    def links(self) -> list[tuple[str, str | Promise, bool]]:
        """For each window its query, its label, and whether it is the one that is shown."""
        return [
            (f"?{self._query_for(window)}", window.label, window is self.window)
            for window in Window
        ]

    def _query_for(self, window: Window) -> str:
        chosen = {"over": window.slug, "name": self.name, "queue": self.queue}
        return urlencode({key: value for key, value in chosen.items() if value})


def _text(request: HttpRequest, key: str, length: int) -> str:
    text = request.GET.get(key, "")
    return text if len(text) <= length and "\0" not in text else ""
