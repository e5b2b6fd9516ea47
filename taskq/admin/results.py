"""Results in the admin: the return values of tasks that keep them. They are read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from taskq.admin import columns
from taskq.admin.ended import EndedMixin
from taskq.admin.filters import NameFilter, QueueFilter
from taskq.models import Result

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


@admin.register(Result)
class ResultAdmin(EndedMixin, ResultAdminBase):
    """The newest comes first. Pools remove old results, by the setting RESULT_TTL."""

    sortable_by = ("id_in_short",)
    ordering = ("-pk",)
    list_display = (
        *("id_in_short", columns.name_wrapped, "arguments_and_value"),
        *(columns.moment(Result, "finished_at"), "took"),
        *(columns.queue_and_priority, "worker_in_a_line"),
    )
    list_filter = (QueueFilter, NameFilter)
    fieldsets = _PAGE
