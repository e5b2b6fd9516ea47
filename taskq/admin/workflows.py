"""Workflows in the admin: how far each is. A person can cancel them and retry their steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters, ShowFacets
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from taskq import printable
from taskq.admin.columns import NOTHING, moment
from taskq.admin.permissions import OnlyShownMixin
from taskq.models import SentWorkflow
from taskq.task import ids
from taskq.workflow import overview

if TYPE_CHECKING:
    WorkflowAdminBase = admin.ModelAdmin[SentWorkflow]
else:
    WorkflowAdminBase = admin.ModelAdmin

_CREATED, _FINISHED, _DEADLINE, _CANCELLED = (
    moment(SentWorkflow, name) for name in ("created_at", "finished_at", "deadline", "cancelled_at")
)


class OpenFilter(SimpleListFilter):
    """Those that have not ended, or those that have."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [("open", _("open")), ("ended", _("ended")), ("cancelled", _("cancelled"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        found = {
            "open": Q(finished_at=None),
            "ended": Q(finished_at__isnull=False),
            "cancelled": Q(cancelled_at__isnull=False),
        }
        value = self.value()
        if value is None:
            return queryset
        if value not in found:
            raise IncorrectLookupParameters(f"no such state: {value!r}")
        return queryset.filter(found[value])


@admin.register(SentWorkflow)
class WorkflowAdmin(OnlyShownMixin, WorkflowAdminBase):
    """Pools write them. The change permission of tasks allows a person to retry and cancel."""

    # Sorting, facets and a full count would read all of them.
    sortable_by = ("id",)
    ordering = ("-pk",)
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    list_display = (
        *("id", "name_in_a_line", "course", "size", "steps_left", "steps_failed"),
        *(_CREATED, _FINISHED),
    )
    list_display_links = ("id", "name_in_a_line")
    list_filter = (OpenFilter,)
    search_fields = ("name",)
    search_help_text = _("A number, or a part of the name")
    actions = ("retry_selected", "cancel_selected")
    fields = (
        *("name_in_a_line", "course", "size", "steps_left", "steps_failed", "where"),
        *(_CREATED, _DEADLINE, _CANCELLED, _FINISHED),
    )
    readonly_fields = fields

    class Media:
        css = {"all": ("taskq/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[SentWorkflow]:
        return overview.with_steps(super().get_queryset(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        number = search_term.strip().removeprefix("#")
        if not number.isdecimal():
            return super().get_search_results(request, queryset, search_term)
        pk = min(int(number), ids.TOO_LARGE - 1)
        return queryset.filter(Q(pk=pk) | Q(name__icontains=number)), False

    def has_act_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("taskq.change_task")

    @admin.action(
        permissions=["act"],
        description=_("Retry the failed steps of selected %(verbose_name_plural)s"),
    )
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[SentWorkflow]) -> None:
        count = 0
        for workflow in queryset.filter(cancelled_at=None):
            retried = workflow.retry_failed()
            count += retried
            if retried:
                self.log_change(request, workflow, gettext("Retried its failed steps"))
        text = ngettext("%(count)d step will run again.", "%(count)d steps will run again.", count)
        if not count:
            text = gettext("Nothing to retry: no step of them has failed.")
        level = messages.SUCCESS if count else messages.WARNING
        self.message_user(request, text % {"count": count}, level)

    @admin.action(permissions=["act"], description=_("Cancel selected %(verbose_name_plural)s"))
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[SentWorkflow]) -> None:
        removed = asked = 0
        for workflow in queryset.filter(finished_at=None):
            cancelled = workflow.cancel()
            removed, asked = removed + cancelled.removed, asked + cancelled.asked
            self.log_change(request, workflow, gettext("Cancelled"))
        text = gettext("Cancelled: %(removed)d steps were removed, and %(asked)d asked to end.")
        self.message_user(request, text % {"removed": removed, "asked": asked}, messages.SUCCESS)

    @admin.display(description=_("name"))
    def name_in_a_line(self, workflow: Any) -> str:
        return printable.in_a_line(workflow.name) or NOTHING

    @admin.display(description=_("state"))
    def course(self, workflow: Any) -> SafeString:
        found = overview.course(workflow)
        kind = "failed" if found is overview.Course.STILL else "active"
        return format_html('<span class="taskq-{}">{}</span>', kind, found.label)

    @admin.display(description=_("steps left"))
    def steps_left(self, workflow: Any) -> str:
        return _up_to_a_bound(workflow.left)

    @admin.display(description=_("failed"))
    def steps_failed(self, workflow: Any) -> str:
        return _up_to_a_bound(workflow.failed)

    @admin.display(description=_("steps"))
    def where(self, workflow: Any) -> SafeString:
        site = self.admin_site.name
        url = reverse("admin:taskq_task_changelist", current_app=site)
        found = [(f"{url}?workflow={workflow.pk}", gettext("those that are left"))]
        try:
            dashboard = reverse("taskq_dashboard:workflow", kwargs={"pk": workflow.pk})
        except NoReverseMatch:
            pass  # the site has no dashboard
        else:
            found.append((dashboard, gettext("the graph, in the dashboard")))
        return format_html_join(", ", '<a href="{}">{}</a>', found)


def _up_to_a_bound(count: int) -> str:
    return f"{overview.COUNTED}+" if count > overview.COUNTED else str(count)
