"""A person has a task's page open, and the task is gone at the next click."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext

from taskq.models import FinishedTask, Result, Task
from taskq.task import ids

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Task]
else:
    Base = object


class GoneMixin(Base):
    """Says that nothing is left to do. Django would ask whether the task was deleted.

    Most tasks that are gone have finished: their rows leave the table.
    """

    def gone(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Go back to the list, with a message that says what became of the task."""
        if any(kept.objects.filter(pk=object_id).exists() for kept in (Result, FinishedTask)):
            text = gettext("Task #%(id)s has finished since; nothing is left to do.")
        else:
            text = gettext(
                "There is no task #%(id)s: it has finished since, or was deleted. "
                "Nothing is left to do."
            )
        self.message_user(request, text % {"id": object_id}, messages.WARNING)
        site = self.admin_site.name
        return HttpResponseRedirect(reverse("admin:taskq_task_changelist", current_app=site))

    def _get_obj_does_not_exist_redirect(
        self, request: HttpRequest, opts: Any, object_id: str
    ) -> HttpResponse:
        """Replaces Django's method, for the pages of a task.

        The method is private. If a later Django calls it no more, Django's own message is shown.
        """
        try:
            key = ids.parse(object_id)
        except ValueError:  # no task can have such an id
            answer: HttpResponse = super()._get_obj_does_not_exist_redirect(  # type: ignore[misc]
                request, opts, object_id
            )
            return answer
        return self.gone(request, str(key))
