"""Results in the admin: the return values of tasks that keep them. They are read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.options import ShowFacets
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.db.models.functions import Substr
from django.http import HttpRequest
from django.utils.formats import localize
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from taskq.admin import columns, readable
from taskq.admin.filters import NameFilter, QueueFilter
from taskq.admin.permissions import OnlyShownMixin
from taskq.admin.search import SearchMixin
from taskq.lookup import attempts
from taskq.models import Result
from taskq.models.declared_columns import AsText
from taskq.task.ids import TaskId

if TYPE_CHECKING:
    ResultAdminBase = admin.ModelAdmin[Result]
else:
    ResultAdminBase = admin.ModelAdmin


_TIMES = [columns.moment(Result, name) for name in ("created_at", "started_at", "finished_at")]
#: The fieldsets of a result's page.
_PAGE: Any = (
    (None, {"fields": ["name", columns.arguments, "value_in_lines"]}),
    (_("Runs"), {"fields": ["worker_in_a_line", "earlier_runs"]}),
    (_("Times"), {"fields": [*_TIMES, "took"]}),
    (_("Place"), {"fields": ["queue", "priority", "id", "uuid"]}),
)


class ResultList(ChangeList):
    """Fetches only the part of long texts that the list shows."""

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        results: QuerySet[Any] = super().get_queryset(request, *args, **kwargs)
        shortened: QuerySet[Any] = results.defer("payload", "value", "history", "worker").annotate(
            payload_start=Substr(AsText("payload"), 1, readable.FETCHED),
            value_start=Substr(AsText("value"), 1, readable.FETCHED),
            worker_start=Substr(AsText("worker"), 1, readable.FETCHED),
        )
        return shortened


@admin.register(Result)
class ResultAdmin(OnlyShownMixin, SearchMixin, ResultAdminBase):
    """The newest comes first. Pools remove old results, by the setting RESULT_TTL."""

    # As for tasks: sorting, facets and a full count would each read the whole table.
    sortable_by = ("id_in_short",)
    ordering = ("-pk",)
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    list_display = (
        *("id_in_short", columns.name_wrapped, "arguments_and_value"),
        *(
            columns.moment(Result, "finished_at"),
            "took",
            columns.queue_and_priority,
            "worker_in_a_line",
        ),
    )
    list_display_links = ("id_in_short", columns.name_wrapped)
    list_filter = (QueueFilter, NameFilter)
    fieldsets = _PAGE

    class Media:
        css = {"all": ("taskq/admin.css",)}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ResultList

    @admin.display(description=_("id"), ordering="pk")
    def id_in_short(self, result: Result) -> int:
        """The id with a short title, because a list has room for few columns."""
        return result.pk

    @admin.display(description=_("arguments, value"))
    def arguments_and_value(self, result: Any) -> SafeString:
        value = readable.in_a_line(result.value_start)
        line = '{}<span class="taskq-line taskq-value">{}</span>'
        return format_html(line, columns.arguments_shortened(result), value)

    @admin.display(description=_("value"))
    def value_in_lines(self, result: Result) -> SafeString:
        return format_html('<pre class="taskq-text">{}</pre>', readable.in_lines(result.value))

    @admin.display(description=_("worker"))
    def worker_in_a_line(self, result: Any) -> SafeString:
        # The list has fetched only the start of it.
        worker = getattr(result, "worker_start", None) or result.worker
        return columns.line(readable.first_line(worker))

    @admin.display(description=_("took"))
    def took(self, result: Result) -> str:
        """From the claim to the end of the last run."""
        # None: SQLite may hold values that are no times.
        if result.finished_at is None or result.started_at is None:
            return columns.NOTHING
        seconds = (result.finished_at - result.started_at).total_seconds()
        return _("%(seconds)s s") % {"seconds": localize(round(seconds, 3))}

    @admin.display(description=_("runs that came to nothing"))
    def earlier_runs(self, result: Result) -> SafeString | str:
        runs = (
            (
                "" if run.started_at is None else readable.moment(run.started_at),
                *map(readable.text, (run.worker, run.kind, run.traceback)),
            )
            for run in attempts(result.history)
        )
        shown = format_html_join("", '{} {}<pre class="taskq-text">{}\n{}</pre>', runs)
        return shown or columns.NOTHING

    @admin.display(description=_("UUID"))
    def uuid(self, result: Result) -> str:
        return TaskId.of(result.pk) if result.pk >= 0 else columns.NOTHING
