"""What the views that do something have in common: who may, and what is said afterwards."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_protect

from taskq.dashboard import permissions
from taskq.dashboard.guarded import Guarded
from taskq.dashboard.remembered import remembered


@method_decorator(csrf_protect, name="dispatch")
class Acting(Guarded):
    """A view whose form names a verb.

    Attributes:
        needs: What a person needs for each verb.
    """

    needs: ClassVar[dict[str, str]] = {}

    def check(self, verb: str, *, field: str = "verb", also: str = "") -> None:
        """Refuse a verb that there is not, or that this person may not use.

        field: where the form has it. also: what else is to be given there.

        Raises BadRequest or PermissionDenied.
        """
        if verb not in self.needs:
            raise BadRequest(f"{field} is {verb!r}: give one of {', '.join(self.needs)}{also}")
        if not permissions.may(self.request, self.needs[verb]):
            raise PermissionDenied


def say(request: HttpRequest, level: int, text: str, page: str, **where: Any) -> HttpResponse:
    """Say what was done, and go to a page that shows it.

    level: one of ``django.contrib.messages``. page: the name of its URL. where: the URL's values.
    """
    remembered.forget()
    messages.add_message(request, level, text, fail_silently=True)
    return HttpResponseRedirect(reverse(f"taskq_dashboard:{page}", kwargs=where))
