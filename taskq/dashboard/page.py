"""What all pages of the dashboard have in common: the menu and the live part."""

from __future__ import annotations

import functools
import hashlib
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib.messages import get_messages
from django.core.handlers.asgi import ASGIRequest
from django.db import router
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.utils.functional import Promise
from django.views.generic import TemplateView

from taskq.dashboard import permissions
from taskq.dashboard.guarded import Guarded
from taskq.dashboard.navigation import ENTRIES
from taskq.dashboard.window import Scope
from taskq.models import Task


class Page(Guarded, TemplateView):
    """A page of the dashboard. Its template extends ``taskq/dashboard/base.html``.

    Attributes:
        title: The title of the page.
        entry: The name of the menu's entry that stands for it.
        live: The template of the part that renews itself. It gets ``look()`` alone.
    """

    title: str | Promise = ""
    entry: ClassVar[str] = ""
    live: ClassVar[str | None] = None

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.live is not None and "live" in request.GET:
            return self._live(request)
        return super().get(request, *args, **kwargs)

    @property
    def alias(self) -> str:
        """The database with the tasks."""
        return router.db_for_read(Task)

    @functools.cached_property
    def scope(self) -> Scope:
        """What figures a person has chosen."""
        return Scope.of(self.request)

    def look(self) -> dict[str, Any]:
        """What the live part shows. It is asked for every two seconds, by all who look."""
        return {}

    def fragment(self) -> str:
        """The live part, as HTML."""
        assert self.live is not None
        context = {**self.look(), "page": self, "scope": self.scope, "may": self.may()}
        return render_to_string(self.live, context, self.request)

    def may(self) -> dict[str, bool]:
        """What the person who looks may do, for templates."""
        needs = {"act": permissions.ACT, "delete": permissions.DELETE}
        needs |= {"pause": permissions.PAUSE, "resume": permissions.RESUME}
        return {verb: permissions.may(self.request, needed) for verb, needed in needs.items()}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        query = self.request.GET.copy()
        query["live"] = "1"
        return super().get_context_data(
            **kwargs,
            page=self,
            title=self.title,
            scope=self.scope,
            entries=[(entry, entry.view == self.entry) for entry in ENTRIES],
            may=self.may(),
            messages=get_messages(self.request),
            live=self.fragment() if self.live is not None else "",
            live_url=f"{self.request.path}?{query.urlencode()}",
            stream_url=self._stream_url(),
        )

    def _stream_url(self) -> str:
        """Where the live part comes from by itself. Empty where the browser has to ask again."""
        if not isinstance(self.request, ASGIRequest):
            return ""
        query = self.request.GET.urlencode()
        of = urlencode({"of": f"{self.request.path_info}?{query}"})
        return f"{reverse('taskq_dashboard:stream')}?{of}"

    def _live(self, request: HttpRequest) -> HttpResponse:
        """The live part alone, or 304 if it is as the browser has it."""
        text = self.fragment()
        etag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
        response = HttpResponse(text, headers={"ETag": etag})
        found = get_conditional_response(request, etag=etag, response=response)
        assert isinstance(found, HttpResponse)
        return found
