"""Tasks in the admin. A person can retry, cancel and delete them, but not edit them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.admin.options import ShowFacets
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import (
    Count,
    Exists,
    F,
    OuterRef,
    QuerySet,
)
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from taskq import readable
from taskq.admin import columns, summary
from taskq.admin.cancelling import CancelMixin
from taskq.admin.filters import NameFilter, QueueFilter, StateFilter
from taskq.admin.gone import GoneMixin
from taskq.admin.losses import LossLinksMixin
from taskq.admin.messages import SayingMixin
from taskq.admin.permissions import NotEditedMixin
from taskq.admin.search import SearchMixin
from taskq.admin.stacks import StackMixin
from taskq.admin.steps import WorkflowFilter, WorkflowLinksMixin
from taskq.models import SHOWN_WHEN, PausedQueue, ShownState, State, Task, TaskQuerySet
from taskq.models.moment_field import Bounded, span

if TYPE_CHECKING:
    TaskAdminBase = admin.ModelAdmin[Task]
else:
    TaskAdminBase = admin.ModelAdmin

#: The most tasks that the confirmation of a deletion names. It only counts the others.
MANY_NAMED = 20


class StillHeld(Exception):
    """The task cannot be deleted: a worker holds it or has finished it."""


@admin.register(Task)
class TaskAdmin(
    CancelMixin,
    StackMixin,
    GoneMixin,
    SayingMixin,
    LossLinksMixin,
    WorkflowLinksMixin,
    NotEditedMixin,
    SearchMixin,
    TaskAdminBase,
):
    """The change permission allows a person to retry and cancel tasks. Nothing can be edited."""

    # Sorting and facets would read the whole table. So would the unfiltered count beside a
    # filter.
    sortable_by = ("id",)
    ordering = ("-pk",)
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    save_on_top = True
    list_display = (
        *("id", columns.name_wrapped, columns.state, columns.arguments_and_error),
        *(columns.moment(Task, "execute_at"), columns.queue_and_priority, columns.tries),
    )
    list_display_links = ("id", columns.name_wrapped)
    list_filter = (StateFilter, QueueFilter, NameFilter, WorkflowFilter)
    actions = ("retry_selected", "cancel_selected", "delete_selected")
    fieldsets = columns.PAGE
    readonly_fields = [field for _title, part in columns.PAGE for field in part["fields"]]

    class Media:
        css = {"all": ("taskq/admin.css",)}

    # What the pages read

    def get_queryset(self, request: HttpRequest) -> QuerySet[Task]:
        tasks = cast(TaskQuerySet, super().get_queryset(request)).with_shown_state()
        left = span(Bounded(F("worker__lease_expires_at")) - Now())
        paused = PausedQueue.objects.filter(queue=OuterRef("queue"))
        return tasks.select_related("worker").annotate(lease_left=left, queue_paused=Exists(paused))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return columns.TaskList

    # Permissions

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return self.may_change(request)

    # Actions

    def get_urls(self) -> list[URLPattern]:
        def view(route: str, method: Any, name: str) -> URLPattern:
            guarded: Callable[..., HttpResponse] = self.admin_site.admin_view(method)
            return path(route, guarded, name=f"taskq_task_{name}")

        return [
            view("summary/", self.summary_view, "summary"),
            view("<path:object_id>/retry/", self.retry_view, "retry"),
            *super().get_urls(),
        ]

    @admin.action(permissions=["retry"], description=_("Retry selected %(verbose_name_plural)s"))
    def retry_selected(self, request: HttpRequest, queryset: TaskQuerySet) -> None:
        # Counted before: a retried task may run at once, and must not count.
        running = queryset.active().count()
        retried = queryset.retry()
        self._say_retried(request, retried, running, queryset)
        if retried:
            self._log(request, CHANGE, self._tasks(retried), gettext("Retried"))

    @method_decorator(require_POST)
    def retry_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Answer the button on a task's page."""
        if not self.has_retry_permission(request):
            raise PermissionDenied
        task: Any = self.get_object(request, object_id)
        if task is None:
            return self.gone(request, object_id)
        chosen = cast(TaskQuerySet, self.get_queryset(request).filter(pk=task.pk))
        retried = chosen.retry()
        self._say_retried(request, retried, int(task.shown_state == ShownState.ACTIVE), chosen)
        if retried:
            self.log_change(request, task, gettext("Retried"))
        return self._to_the_page(request, task.pk)

    @admin.action(permissions=["delete"], description=_("Delete selected %(verbose_name_plural)s"))
    def delete_selected(
        self, request: HttpRequest, queryset: TaskQuerySet
    ) -> TemplateResponse | None:
        """Replaces Django's action, which would also delete tasks that workers run."""
        if "post" not in request.POST:
            return self._confirm_deletion(request, queryset)
        deleted = queryset.discard()
        running = queryset.active().count()
        self._say_deleted(request, deleted, running)
        if deleted:
            self._log(request, DELETION, self._tasks(deleted), gettext("Deleted"))
        return None

    def log_deletions(self, request: HttpRequest, queryset: Any) -> list[LogEntry]:
        """Log nothing: Django calls this before the deletion, which may not happen."""
        return []

    def delete_model(self, request: HttpRequest, obj: Task) -> None:
        if not Task.objects.filter(pk=obj.pk).discard():
            raise StillHeld
        super().log_deletions(request, [obj])  # type: ignore[arg-type]

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Task]) -> None:
        cast(TaskQuerySet, queryset).discard()

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except StillHeld:
            text = gettext("The task was not deleted: a worker holds it, or has finished it.")
            self.message_user(request, text, messages.ERROR)
            return self._to_the_page(request, int(object_id))

    def _confirm_deletion(self, request: HttpRequest, queryset: TaskQuerySet) -> TemplateResponse:
        counts = queryset.aggregate(
            total=Count("pk"), running=Count("pk", filter=SHOWN_WHEN[ShownState.ACTIVE])
        )
        named = list(queryset[:MANY_NAMED])
        context = {
            **self.admin_site.each_context(request),
            **counts,
            "title": gettext("Delete multiple objects"),
            "opts": self.opts,
            "media": self.media,
            "tasks": named,
            "more": counts["total"] - len(named),
            # The same choice again: ids of this page, or all tasks that the filters allow.
            "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
            "select_across": request.POST.get("select_across", "0"),
            "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
        }
        request.current_app = self.admin_site.name
        template = "admin/taskq/task/delete_selected_confirmation.html"
        return TemplateResponse(request, template, context)

    def summary_view(self, request: HttpRequest) -> TemplateResponse:
        """Show how many tasks of each name are in each state."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = summary.by_name(cast(TaskQuerySet, self.get_queryset(request)))
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Tasks by name"),
            "opts": self.opts,
            "media": self.media,
            "states": list(ShownState),
            "rows": rows,
            "totals": summary.totals(rows),
            "total": sum(row.total for row in rows),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/taskq/task/summary.html", context)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        """Show only the buttons that would do something."""
        waits = obj.shown_state == ShownState.FUTURE and obj.attempt > 0
        context["show_retry"] = self.has_retry_permission(request) and (
            waits or obj.state == State.FAILED or obj.shown_state == ShownState.LOST
        )
        context["show_delete"] = obj.shown_state != ShownState.ACTIVE
        return super().render_change_form(request, context, add, change, form_url, obj)

    def _to_the_page(self, request: HttpRequest, pk: int) -> HttpResponseRedirect:
        url = reverse("admin:taskq_task_change", args=[pk], current_app=self.admin_site.name)
        filters = self.get_preserved_filters(request)
        return HttpResponseRedirect(
            add_preserved_filters({"preserved_filters": filters, "opts": self.opts}, url)
        )

    # Fields of a task's page

    @admin.display(description=_("worker"))
    def worker_and_lease(self, task: Any) -> SafeString | str:
        if task.worker_id is None:
            return columns.NOTHING
        lease = readable.lease(task.lease_left)
        if task.worker is None:
            return f"#{task.worker_id}: {lease}"
        url = reverse(
            "admin:taskq_worker_change", args=[task.worker_id], current_app=self.admin_site.name
        )
        text = gettext("lease: %(lease)s") % {"lease": lease}
        return format_html('<a href="{}">{}</a>, {}', url, task.worker, text)
