"""Finished tasks in the admin, of those that are kept. They are read-only.

There may be many millions of them. So nothing here counts or searches all of them.
"""

from __future__ import annotations

import datetime
import functools
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from taskq.admin import columns
from taskq.admin.ended import EndedMixin
from taskq.admin.filters import NameFilter, QueueFilter
from taskq.models import FinishedTask
from taskq.task import ids, registry

if TYPE_CHECKING:
    FinishedAdminBase = admin.ModelAdmin[FinishedTask]
else:
    FinishedAdminBase = admin.ModelAdmin

#: The most rows that a list counts and shows.
COUNTED = 10_000
#: The newest rows in which a text is searched.
SEARCHED = 10_000
#: Days that the filter offers. The URL may name any other.
DAYS = 8

_TIMES = [
    columns.moment(FinishedTask, name)
    for name in ("created_at", "execute_at", "started_at", "finished_at")
]
#: The fieldsets of the page of a finished task.
_PAGE: Any = (
    (None, {"fields": ["name", columns.arguments, "value_in_lines"]}),
    (_("Runs"), {"fields": ["worker_in_a_line", "attempt", "retries", "earlier_runs"]}),
    (_("Times"), {"fields": [*_TIMES, "took", "expires_on"]}),
    (_("Place"), {"fields": ["queue", "priority", "id", "uuid", columns.headers]}),
)


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts only the first rows, and has pages for no more."""

    @functools.cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by().values("pk")[:COUNTED].count())


class DayFilter(SimpleListFilter):
    """Filters by the day on which a task was done, in the current time zone."""

    title = _("day")
    parameter_name = "day"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        today = timezone.localdate()
        days = {str(today - datetime.timedelta(days=ago)) for ago in range(DAYS)}
        if chosen := self.value():
            days.add(chosen)
        return [(day, day) for day in sorted(days, reverse=True)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if not value:
            return queryset
        try:
            first = datetime.datetime.combine(datetime.date.fromisoformat(value), datetime.time())
            begin, end = (
                timezone.make_aware(first + datetime.timedelta(days=days)) for days in (0, 1)
            )
        except (ValueError, OverflowError) as error:
            raise IncorrectLookupParameters(f"day is {value!r}") from error
        return queryset.filter(finished_at__gte=begin, finished_at__lt=end)


@admin.register(FinishedTask)
class FinishedTaskAdmin(EndedMixin, FinishedAdminBase):
    """The newest comes first. Each is kept for as long as ``keep_finished`` says."""

    sortable_by = ()
    ordering = ("-finished_at",)
    paginator = BoundedPaginator
    list_display = (
        *("id_in_short", columns.name_wrapped, "arguments_and_value"),
        *(columns.moment(FinishedTask, "finished_at"), "took"),
        *(columns.queue_and_priority, "worker_in_a_line"),
    )
    list_filter = (DayFilter, QueueFilter, NameFilter)
    fieldsets = _PAGE
    search_help_text = _(
        "An id, a UUID, or a part of the name or the arguments: a text is searched in the newest "
        "10,000 of what the filters leave"
    )

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> FinishedTask | None:
        """The newest with this id. There are two only if the sequence of ids was set back."""
        try:
            key = ids.parse(object_id)
        except ValueError:
            return None
        found = self.get_queryset(request).filter(pk=key) if key < ids.TOO_LARGE else None
        return found.order_by("-finished_at").first() if found is not None else None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        try:
            ids.parse(search_term.strip())
        except ValueError:
            return self._with_text(queryset, search_term), False
        return super().get_search_results(request, queryset, search_term)

    def _with_text(self, finished: QuerySet[Any], text: str) -> QuerySet[Any]:
        """Those of the newest that have all these words in their name or arguments. First it finds
        out since when these are: so the text is compared in no others."""
        newest = finished.order_by("-finished_at").values_list("finished_at", flat=True)
        if since := newest[SEARCHED : SEARCHED + 1].first():
            finished = finished.filter(finished_at__gt=since)
        # Finding a value is as good as seeing it.
        hidden = [each.name for each in registry.definitions() if each.options.sensitive]
        for word in text.split():
            in_arguments = Q(payload__icontains=word) & ~Q(name__in=hidden)
            finished = finished.filter(Q(name__icontains=word) | in_arguments)
        return finished
