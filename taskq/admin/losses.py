"""Losses in the admin: each worker that died, with its stack. They are read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.contrib.admin.options import ShowFacets
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import localize
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from taskq import loss_text, printable, readable
from taskq.admin import columns
from taskq.admin.filters import NameFilter
from taskq.admin.permissions import OnlyShownMixin
from taskq.admin.search import SearchMixin
from taskq.models import Loss, Task

if TYPE_CHECKING:
    LossAdminBase = admin.ModelAdmin[Loss]
    TaskAdminBase = admin.ModelAdmin[Task]
else:
    LossAdminBase = admin.ModelAdmin
    TaskAdminBase = object

#: The most losses that a task's page names.
MANY_NAMED = 5
_AT = columns.moment(Loss, "at")


@admin.register(Loss)
class LossAdmin(OnlyShownMixin, SearchMixin, LossAdminBase):
    """The newest comes first. Pools remove old losses, by the setting LOSS_TTL."""

    # As for tasks: sorting, facets and a full count would each read the whole table.
    sortable_by = ("id",)
    ordering = ("-pk",)
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    list_display = ("id", _AT, "said", "task", "worker", "host", "pid")
    list_display_links = ("id", _AT)
    list_filter = (NameFilter,)
    id_field = "task_id"
    search_fields = ("name", "host", "place")
    search_help_text = _("The id of a task, or a part of its name, a host or a place")
    fields = (
        *(_AT, "said", "task", "attempt", "queue"),
        *("worker", "pool", "host", "pid", "version", "stack_in_lines", "memory_over_time"),
    )
    readonly_fields = fields

    class Media:
        css = {"all": ("taskq/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Loss]:
        losses: QuerySet[Loss] = super().get_queryset(request)
        match = request.resolver_match
        # Only a page shows them.
        return losses if match and "object_id" in match.kwargs else losses.defer("stack", "runs")

    @admin.display(description=_("what happened"))
    def said(self, loss: Loss) -> str:
        return printable.in_a_line(loss.sentence)

    @admin.display(description=_("task"))
    def task(self, loss: Loss) -> SafeString | str:
        if not loss.task_id:
            return columns.NOTHING
        site = self.admin_site.name
        url = reverse("admin:taskq_task_change", args=[loss.task_id], current_app=site)
        return format_html(
            '<a href="{}">{} #{}</a>', url, printable.in_a_line(loss.name), loss.task_id
        )

    @admin.display(description=_("stack"))
    def stack_in_lines(self, loss: Loss) -> SafeString:
        text = readable.text(loss.stack) or columns.NOTHING
        return format_html('<pre class="taskq-text">{}</pre>', text)

    @admin.display(description=_("memory"))
    def memory_over_time(self, loss: Loss) -> SafeString | str:
        lines = (
            (localize(round(sample.before, 1)), loss_text.size(sample.kib))
            for sample in loss.samples
        )
        shown = format_html_join("", gettext("{} s before: {}\n"), lines)
        return format_html('<pre class="taskq-text">{}</pre>', shown) if shown else columns.NOTHING


class LossLinksMixin(TaskAdminBase):
    """The losses of a task, on its page."""

    @admin.display(description=_("losses"))
    def losses_named(self, task: Task) -> SafeString:
        """How many count against its limit, and the last of all: some are no fault of the task."""
        found = Loss.objects.using(task._state.db).filter(task_id=task.pk).order_by("-pk")
        site = self.admin_site.name
        links = (
            (
                reverse("admin:taskq_loss_change", args=[loss.pk], current_app=site),
                readable.moment(loss.at) if loss.at else columns.NOTHING,
                printable.in_a_line(loss.sentence),
            )
            for loss in (found.defer("stack", "runs")[:MANY_NAMED] if task.attempt else ())
        )
        shown = format_html_join("", '<br><a href="{}">{}</a>: {}', links)
        return format_html("{}{}", columns.losses(task), shown)
