"""Where a running task is: a button of its page, and the page with its stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import router, transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from taskq import printable, readable, stacks
from taskq.exceptions import NoStack
from taskq.models import ShownState, Task

if TYPE_CHECKING:

    class Base(admin.ModelAdmin[Task]):
        """The parts of TaskAdmin that the mixin needs."""

        def has_retry_permission(self, request: HttpRequest) -> bool: ...
        def gone(self, request: HttpRequest, object_id: str) -> HttpResponse: ...
        def _to_the_page(self, request: HttpRequest, pk: int) -> HttpResponse: ...

else:
    Base = object


class StackMixin(Base):
    """Stacks, for TaskAdmin. To ask for one takes the same permission as a retry."""

    def get_urls(self) -> list[URLPattern]:
        guarded: Any = self.admin_site.admin_view(self.stack_view)
        # The question must be committed before a pool can see it.
        guarded = transaction.non_atomic_requests(router.db_for_write(Task))(guarded)
        return [
            path("<path:object_id>/stack/", guarded, name="taskq_task_stack"),
            *super().get_urls(),
        ]

    @method_decorator(require_POST)
    def stack_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if not self.has_retry_permission(request):
            raise PermissionDenied
        task = self.get_object(request, object_id)
        if task is None:
            return self.gone(request, object_id)
        try:
            stack = stacks.ask(task.pk, using=task._state.db)
        except NoStack as error:
            self.message_user(request, printable.in_a_line(str(error)), messages.WARNING)
            return self._to_the_page(request, task.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Where it is now"),
            "opts": self.opts,
            "media": self.media,
            "original": task,
            "stack": readable.text(stack),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/taskq/task/stack.html", context)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        runs = context["original"].shown_state == ShownState.ACTIVE
        context["show_stack"] = self.has_retry_permission(request) and runs
        return super().render_change_form(request, context, *args, **kwargs)
