"""The live part of a page by server-sent events, where the site runs under ASGI.

One connection stays open for each browser, and says something only when the live part has changed.
What it shows is remembered for all who look, so the database is asked no more than by polling.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import (
    Http404,
    HttpRequest,
    HttpResponseBase,
    QueryDict,
    StreamingHttpResponse,
)
from django.urls import Resolver404, resolve

from taskq.dashboard import permissions
from taskq.dashboard.page import Page
from taskq.dashboard.policy import protect

#: Seconds between two looks.
EVERY = 2.0
#: Seconds after which a connection says something even if nothing has changed. Proxies close one
#: that is silent, and only by writing does the site learn that the browser is gone.
QUIET = 15.0
#: Seconds after which it ends. The browser opens another, and is asked again for its permission.
LENGTH = 300.0


async def stream(request: HttpRequest) -> HttpResponseBase:
    """The live part of the page at ``?of=``, whenever it changes."""
    if not isinstance(request, ASGIRequest):
        raise Http404("events need ASGI: the page polls")
    answer = await sync_to_async(_opened)(request)
    if isinstance(answer, Page):
        events = _events(answer)
        response: HttpResponseBase = StreamingHttpResponse(
            events, content_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )
        protect(response)
        return response
    return answer


def _opened(request: HttpRequest) -> Page | HttpResponseBase:
    """The page, if the person may see it."""
    path, _mark, query = request.GET.get("of", "").partition("?")
    try:
        found = resolve(path)
    except Resolver404 as error:
        raise Http404(f"there is no page {path!r}") from error
    view: type | None = getattr(found.func, "view_class", None)
    if view is None or not issubclass(view, Page) or view.live is None:
        raise Http404(f"{path!r} has no live part")
    refused = permissions.refused(request, view.permission)
    if refused is not None:
        return refused
    page = view()
    page.setup(_asked(request, path, query), *found.args, **found.kwargs)
    return page


def _asked(request: HttpRequest, path: str, query: str) -> HttpRequest:
    """The request as it would be for the page itself, by the same person."""
    asked = copy.copy(request)
    asked.path = asked.path_info = path
    asked.GET = QueryDict(query)
    return asked


async def _events(page: Page) -> AsyncIterator[str]:
    begun = said = time.monotonic()
    before = None
    while time.monotonic() - begun < LENGTH:
        try:
            text = await sync_to_async(_look)(page)
        except Http404:  # what the page is about is gone: the browser asks again, and is told so
            return
        if text != before:
            yield _event(text)
            before, said = text, time.monotonic()
        elif time.monotonic() - said > QUIET:
            yield ": nothing has changed\n\n"
            said = time.monotonic()
        await asyncio.sleep(EVERY)


def _look(page: Page) -> str:
    """The live part. The connection goes back at once: this one lasts for minutes."""
    close_old_connections()
    try:
        return page.fragment()
    finally:
        close_old_connections()


def _event(text: str) -> str:
    return "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"
