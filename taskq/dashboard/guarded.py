"""A view that only some people may ask for, and whose answers are protected."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponseBase
from django.views.generic import View

from taskq.dashboard import permissions
from taskq.dashboard.policy import protect


class Guarded(View):
    """Attributes: permission: what a person needs."""

    permission: ClassVar[str] = permissions.LOOK

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        refused = permissions.refused(request, self.permission)
        response = refused or super().dispatch(request, *args, **kwargs)
        protect(response)
        return response
