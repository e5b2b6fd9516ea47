"""What the lists and pages of results and of finished tasks have in common."""

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

from taskq import readable
from taskq.admin import columns
from taskq.admin.permissions import OnlyShownMixin
from taskq.admin.search import SearchMixin
from taskq.lookup import attempts
from taskq.models.declared_columns import AsText
from taskq.task.ids import TaskId

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = object


class EndedList(ChangeList):
    """Fetches only the part of long texts that the list shows."""

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        ended: QuerySet[Any] = super().get_queryset(request, *args, **kwargs)
        shortened: QuerySet[Any] = ended.defer("payload", "value", "history", "worker").annotate(
            payload_start=Substr(AsText("payload"), 1, readable.FETCHED),
            value_start=Substr(AsText("value"), 1, readable.FETCHED),
            worker_start=Substr(AsText("worker"), 1, readable.FETCHED),
        )
        return shortened


class EndedMixin(OnlyShownMixin, SearchMixin, Base):
    """The columns and fields of a run that has ended well. Nothing of it can be changed."""

    # As for tasks: sorting, facets and a full count would each read the whole table.
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    list_display_links = ("id_in_short", columns.name_wrapped)

    class Media:
        css = {"all": ("taskq/admin.css",)}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EndedList

    @admin.display(description=_("id"), ordering="pk")
    def id_in_short(self, ended: Any) -> int:
        """The id with a short title, because a list has room for few columns."""
        pk: int = ended.pk
        return pk

    @admin.display(description=_("arguments, value"))
    def arguments_and_value(self, ended: Any) -> SafeString:
        if ended.value_start is None:  # a finished task that does not keep its result
            return columns.arguments_shortened(ended)
        value = readable.in_a_line(ended.value_start)
        line = '{}<span class="taskq-line taskq-value">{}</span>'
        return format_html(line, columns.arguments_shortened(ended), value)

    @admin.display(description=_("value"))
    def value_in_lines(self, ended: Any) -> SafeString | str:
        if ended.value is None:
            return columns.NOTHING
        return format_html('<pre class="taskq-text">{}</pre>', readable.in_lines(ended.value))

    @admin.display(description=_("worker"))
    def worker_in_a_line(self, ended: Any) -> SafeString:
        # The list has fetched only the start of it.
        start = getattr(ended, "worker_start", None)
        return columns.line(readable.first_line(ended.worker if start is None else start))

    @admin.display(description=_("took"))
    def took(self, ended: Any) -> str:
        """From the claim to the end of the last run."""
        # None: SQLite may hold values that are no times.
        if ended.finished_at is None or ended.started_at is None:
            return columns.NOTHING
        seconds = (ended.finished_at - ended.started_at).total_seconds()
        return _("%(seconds)s s") % {"seconds": localize(round(seconds, 3))}

    @admin.display(description=_("runs that came to nothing"))
    def earlier_runs(self, ended: Any) -> SafeString | str:
        runs = (
            (
                "" if run.started_at is None else readable.moment(run.started_at),
                *map(readable.text, (run.worker, run.kind, run.traceback)),
            )
            for run in attempts(ended.history)
        )
        shown = format_html_join("", '{} {}<pre class="taskq-text">{}\n{}</pre>', runs)
        return shown or columns.NOTHING

    @admin.display(description=_("UUID"))
    def uuid(self, ended: Any) -> str:
        return TaskId.of(ended.pk) if ended.pk >= 0 else columns.NOTHING
