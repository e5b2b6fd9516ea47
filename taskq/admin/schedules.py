"""Schedules in the admin: when each sends its next task, and pausing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from taskq import readable
from taskq.admin.columns import NOTHING, moment
from taskq.admin.permissions import NotEditedMixin
from taskq.models.schedules import Schedule, ScheduleQuerySet
from taskq.schedules import entries

if TYPE_CHECKING:
    ScheduleAdminBase = admin.ModelAdmin[Schedule]
else:
    ScheduleAdminBase = admin.ModelAdmin


_TIMES = (moment(Schedule, "next_at"), moment(Schedule, "last_at"))


@admin.register(Schedule)
class ScheduleAdmin(NotEditedMixin, ScheduleAdminBase):
    """The code defines the schedules. A person may pause them, and delete those that it dropped."""

    list_display = ("name", "task", "ticks", *_TIMES, "state")
    sortable_by = ("name", "task", *_TIMES)
    ordering = ("name",)
    search_fields = ("name", "task")
    list_filter = ("paused",)
    actions = ("pause_selected", "resume_selected")
    fields = (
        *("name", "task", "arguments", "ticks", "catch_up", *_TIMES, "state"),
        *("queue", "priority"),
    )
    readonly_fields = fields

    class Media:
        css = {"all": ("taskq/admin.css",)}

    def has_delete_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        """Only for schedules that the code no longer has.

        A deleted schedule that the code still has would come back with the next start of a pool.
        A person should pause it instead.
        """
        in_code = obj is not None and obj.name in entries.names()
        return not in_code and super().has_delete_permission(request, obj)

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return self.may_change(request)

    @admin.action(permissions=["pause"], description=_("Pause selected %(verbose_name_plural)s"))
    def pause_selected(self, request: HttpRequest, queryset: ScheduleQuerySet) -> None:
        chosen = list(queryset.filter(paused=False))
        queryset.pause()
        self._say(request, chosen, gettext("Paused"))

    @admin.action(permissions=["pause"], description=_("Resume selected %(verbose_name_plural)s"))
    def resume_selected(self, request: HttpRequest, queryset: ScheduleQuerySet) -> None:
        chosen = list(queryset.filter(paused=True))
        try:
            queryset.resume()
        except ValueError as error:  # written by another version of the code
            self.message_user(request, str(error), messages.ERROR)
        else:
            self._say(request, chosen, gettext("Resumed"))

    def _say(self, request: HttpRequest, chosen: list[Schedule], verb: str) -> None:
        for schedule in chosen:
            self.log_change(request, schedule, verb)
        names = ", ".join(schedule.name for schedule in chosen) or NOTHING
        self.message_user(request, f"{verb}: {names}", messages.SUCCESS)

    @admin.display(description=_("schedule"), ordering="schedule")
    def ticks(self, schedule: Schedule) -> str:
        # Intervals are counted from a moment: they have no time zone.
        zone = "" if schedule.schedule.startswith("every ") else f" ({schedule.time_zone})"
        return f"{schedule.schedule}{zone}"

    @admin.display(description=_("state"))
    def state(self, schedule: Schedule) -> SafeString:
        if schedule.paused:
            return format_html('<span class="taskq-failed">{}</span>', gettext("paused"))
        if schedule.name not in entries.names():
            text = gettext("not in the code here")
            return format_html('<span class="taskq-lost">{}</span>', text)
        return format_html('<span class="taskq-active">{}</span>', gettext("active"))

    @admin.display(description=_("arguments"))
    def arguments(self, schedule: Schedule) -> SafeString:
        shown = readable.in_lines(schedule.payload, schedule.task)
        return format_html('<pre class="taskq-text">{}</pre>', shown)
