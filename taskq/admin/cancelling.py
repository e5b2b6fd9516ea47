"""The verb "cancel" in the admin: an action of the list, and a button of a task's page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from taskq.models import Cancelled, State, Task, TaskQuerySet

if TYPE_CHECKING:

    class Base(admin.ModelAdmin[Task]):
        """The parts of TaskAdmin that the mixin needs."""

        def has_retry_permission(self, request: HttpRequest) -> bool: ...
        def _tasks(self, count: int) -> str: ...
        def _log(self, request: HttpRequest, flag: int, tasks: str, verb: str) -> None: ...
        def gone(self, request: HttpRequest, object_id: str) -> HttpResponse: ...
        def _to_the_page(self, request: HttpRequest, pk: int) -> HttpResponse: ...

else:
    Base = object


class CancelMixin(Base):
    """Cancelling, for TaskAdmin. It takes the same permission as a retry."""

    def get_urls(self) -> list[URLPattern]:
        guarded: Any = self.admin_site.admin_view(self.cancel_view)
        return [
            path("<path:object_id>/cancel/", guarded, name="taskq_task_cancel"),
            *super().get_urls(),
        ]

    @admin.action(permissions=["retry"], description=_("Cancel selected %(verbose_name_plural)s"))
    def cancel_selected(self, request: HttpRequest, queryset: TaskQuerySet) -> None:
        cancelled = queryset.cancel()
        self._say_cancelled(request, cancelled)
        if any(cancelled):
            self._log(request, CHANGE, self._tasks(sum(cancelled)), gettext("Cancelled"))

    @method_decorator(require_POST)
    def cancel_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if not self.has_retry_permission(request):
            raise PermissionDenied
        task = self.get_object(request, object_id)
        if task is None:
            return self.gone(request, object_id)
        chosen = cast(TaskQuerySet, self.get_queryset(request).filter(pk=task.pk))
        cancelled = chosen.cancel()
        self._say_cancelled(request, cancelled)
        if any(cancelled):
            self.log_change(request, task, gettext("Cancelled"))
        if not cancelled.removed:
            return self._to_the_page(request, task.pk)
        site = self.admin_site.name
        return HttpResponseRedirect(reverse("admin:taskq_task_changelist", current_app=site))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        task = context["original"]
        over = task.state == State.FAILED or task.cancelled_at is not None
        context["show_cancel"] = self.has_retry_permission(request) and not over
        return super().render_change_form(request, context, *args, **kwargs)

    def _say_cancelled(self, request: HttpRequest, cancelled: Cancelled) -> None:
        if cancelled.removed:
            text = ngettext(
                "%(count)d waiting task was removed.",
                "%(count)d waiting tasks were removed.",
                cancelled.removed,
            )
            self.message_user(request, text % {"count": cancelled.removed}, messages.SUCCESS)
        if cancelled.asked:
            text = ngettext(
                "%(count)d task runs and was asked to end.",
                "%(count)d tasks run and were asked to end.",
                cancelled.asked,
            )
            self.message_user(request, text % {"count": cancelled.asked}, messages.SUCCESS)
        if not any(cancelled):
            text = gettext("Nothing to cancel: no such task waits or runs.")
            self.message_user(request, text, messages.WARNING)
