"""Workers in the admin: when the lease of each expires, and which tasks it holds."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import (
    F,
    QuerySet,
    Subquery,
)
from django.db.models.functions import Now
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from taskq import readable
from taskq.admin.columns import NOTHING, moment
from taskq.admin.permissions import OnlyShownMixin
from taskq.models import State, Worker
from taskq.models.moment_field import Bounded, span
from taskq.overview import held_by_worker

if TYPE_CHECKING:
    WorkerAdminBase = admin.ModelAdmin[Worker]
else:
    WorkerAdminBase = admin.ModelAdmin

#: The most tasks that a worker's page lists.
MANY_HELD = 100
_STARTED_AT, _EXPIRES_AT = moment(Worker, "started_at"), moment(Worker, "lease_expires_at")


@admin.register(Worker)
class WorkerAdmin(OnlyShownMixin, WorkerAdminBase):
    """Read-only, because pools add and remove workers."""

    list_display = ("name", "pool", "host", "pid", _STARTED_AT, "lease", "holds", "held_task")
    list_display_links = ("name", "pool")
    sortable_by = ("name", "pool", "host", _STARTED_AT)
    ordering = ("pool", "pk")
    search_fields = ("pool", "name")
    show_full_result_count = False
    fields = (
        *("name", "pool", "host", "pid", _STARTED_AT, _EXPIRES_AT, "lease", "serves", "listens"),
        *("holds", "held_tasks"),
    )
    readonly_fields = fields

    class Media:
        css = {"all": ("taskq/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Worker]:
        first, count = held_by_worker()
        left = span(Bounded(F("lease_expires_at")) - Now())
        workers: QuerySet[Worker] = (
            super()
            .get_queryset(request)
            .annotate(
                lease_left=left,
                held_count=Subquery(count),
                held_pk=Subquery(first.values("pk")),
                held_name=Subquery(first.values("name")),
            )
        )
        return workers

    @admin.display(description=_("lease"))
    def lease(self, worker: Any) -> SafeString:
        if worker.lease_left is None:  # SQLite may hold a value that is no time
            return format_html('<span class="taskq-lost">{}</span>', NOTHING)
        kind = "active" if worker.lease_left > datetime.timedelta() else "lost"
        return format_html(
            '<span class="taskq-{}">{}</span>', kind, readable.lease(worker.lease_left)
        )

    @admin.display(description=_("holds"))
    def holds(self, worker: Any) -> int:
        return worker.held_count or 0

    @admin.display(description=_("first task held"), empty_value="-")
    def held_task(self, worker: Any) -> SafeString | None:
        return self._link(worker.held_pk, worker.held_name) if worker.held_pk else None

    @admin.display(description=_("tasks held"))
    def held_tasks(self, worker: Worker) -> SafeString | str:
        held = worker.tasks.filter(state=State.RUNNING).order_by("started_at", "execute_at", "pk")
        links = [self._link(*row) for row in held.values_list("pk", "name")[:MANY_HELD]]
        return format_html_join(SafeString("<br>"), "{}", ((link,) for link in links)) or NOTHING

    def _link(self, pk: int, name: str) -> SafeString:
        url = reverse("admin:taskq_task_change", args=[pk], current_app=self.admin_site.name)
        return format_html('<a href="{}">{} #{}</a>', url, name, pk)
