"""The metrics of all pools as a view of the site."""

from __future__ import annotations

import secrets
from typing import Any

from django.db import router
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from taskq import conf
from taskq.metrics.site import SiteCollector
from taskq.models import Task

#: What a user needs who looks without the token. It is the permission that the admin asks for.
PERMISSION = "taskq.view_task"


@require_safe
@never_cache
def view(request: HttpRequest) -> HttpResponse:
    """Answer a scrape: ``path("metrics/", taskq.metrics.view)``.

    It answers a request with the header ``Authorization: Bearer`` and the token of
    ``TASKQ["METRICS_TOKEN"]``, and a user with the permission ``taskq.view_task``. To anybody else
    it says 403, or 401 without a login: names of tasks and queues are not for everybody.
    """
    if not _may(request):
        logged_in = getattr(getattr(request, "user", None), "is_authenticated", False)
        refused = HttpResponse("no permission\n", "text/plain", status=403 if logged_in else 401)
        if not logged_in:
            refused["WWW-Authenticate"] = "Bearer"
        return refused
    registry = CollectorRegistry()
    registry.register(SiteCollector(router.db_for_read(Task)))
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type)


def _may(request: HttpRequest) -> bool:
    token = conf.settings().metrics_token
    if token is not None:
        given = request.headers.get("Authorization", "")
        # In the same time for any wrong token.
        if secrets.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return True
    user: Any = getattr(request, "user", None)
    return user is not None and user.is_active and user.has_perm(PERMISSION)
