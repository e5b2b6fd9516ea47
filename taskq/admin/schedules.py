"""Schedules in the admin: made, changed, paused and run now; when each sends its next task."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from taskq import readable
from taskq.admin.columns import NOTHING, moment
from taskq.models.schedules import Schedule, ScheduleQuerySet
from taskq.schedules import entries
from taskq.schedules.form import ScheduleForm, next_ticks

if TYPE_CHECKING:
    ScheduleAdminBase = admin.ModelAdmin[Schedule]
else:
    ScheduleAdminBase = admin.ModelAdmin


_TIMES = (moment(Schedule, "next_at"), moment(Schedule, "last_at"))


#: How a schedule is shown that cannot be edited.
_SHOWN = (
    *("name", "task", "arguments", "ticks", "coming", "catch_up", *_TIMES, "state", "total_runs"),
    *("queue", "priority", "expire_seconds", "start_at", "end_at", "one_off", "description"),
)
#: What the form shows beside its fields.
_BESIDE = ("coming", *_TIMES, "state", "total_runs")


@admin.register(Schedule)
class ScheduleAdmin(ScheduleAdminBase):
    """People make schedules here and change them. Those of the code they may pause and run now, and
    delete when the code has dropped them."""

    form = ScheduleForm
    list_display = ("name", "task", "ticks", "state", *_TIMES, "total_runs")
    sortable_by = ("name", "task", *_TIMES, "total_runs")
    ordering = ("name",)
    search_fields = ("name", "task", "description")
    list_filter = ("paused", "from_code")
    actions = ("pause_selected", "resume_selected", "run_selected")

    class Media:
        css = {"all": ("taskq/admin.css",)}

    def get_form(
        self, request: HttpRequest, obj: Schedule | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is not None and not self.has_change_permission(request, obj):
            kwargs["form"] = forms.ModelForm  # nothing is edited
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Schedule | None = None) -> Any:
        if obj is None:
            return [*ScheduleForm.base_fields]
        if not self.has_change_permission(request, obj):
            return _SHOWN
        return [*ScheduleForm.base_fields, *_BESIDE]

    def get_readonly_fields(self, request: HttpRequest, obj: Schedule | None = None) -> Any:
        if obj is None:
            return ()
        return _BESIDE if self.has_change_permission(request, obj) else _SHOWN

    def has_change_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        from_code = obj is not None and obj.from_code
        return not from_code and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        """Not for schedules that the code has.

        A deleted one would come back with the next start of a pool. A person should pause it
        instead.
        """
        in_code = obj is not None and obj.name in entries.names()
        return not in_code and super().has_delete_permission(request, obj)

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return super().has_change_permission(request)

    def has_run_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("taskq.change_task")

    def save_model(self, request: HttpRequest, obj: Schedule, form: Any, change: bool) -> None:
        """Write it by ``taskq.schedules``, which changes the row as it is now."""
        row = form.write()
        obj.pk = row.pk
        coming = next_ticks(row)
        if row.paused or not coming:
            text = gettext("It sends nothing from now on.")
        elif isinstance(coming, str):
            text = coming
        else:
            text = gettext("Next: %(ticks)s") % {"ticks": _in_a_line(coming)}
        self.message_user(request, text, messages.INFO)

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

    @admin.action(permissions=["run"], description=_("Run selected %(verbose_name_plural)s now"))
    def run_selected(self, request: HttpRequest, queryset: ScheduleQuerySet) -> None:
        chosen = list(queryset)
        queryset.run_now()
        self._say(request, chosen, gettext("Sent now"))

    def _say(self, request: HttpRequest, chosen: list[Schedule], verb: str) -> None:
        for schedule in chosen:
            self.log_change(request, schedule, verb)
        names = ", ".join(schedule.name for schedule in chosen) or NOTHING
        self.message_user(request, f"{verb}: {names}", messages.SUCCESS)

    @admin.display(description=_("schedule"), ordering="schedule")
    def ticks(self, schedule: Schedule) -> str:
        # Intervals are counted from a moment, as a single time is: they have no time zone.
        alone = schedule.schedule.startswith(("every ", "at "))
        zone = "" if alone else f" ({schedule.time_zone})"
        return f"{schedule.schedule}{zone}"

    @admin.display(description=_("next ticks"))
    def coming(self, schedule: Schedule) -> str:
        found = next_ticks(schedule)
        return (found if isinstance(found, str) else _in_a_line(found)) or NOTHING

    @admin.display(description=_("state"))
    def state(self, schedule: Schedule) -> SafeString:
        if schedule.error:
            return format_html('<span class="taskq-failed">{}</span>', schedule.error)
        if schedule.paused:
            return format_html('<span class="taskq-failed">{}</span>', gettext("paused"))
        if schedule.next_at is None:
            return format_html('<span class="taskq-lost">{}</span>', gettext("over"))
        if schedule.from_code and schedule.name not in entries.names():
            text = gettext("not in the code here")
            return format_html('<span class="taskq-lost">{}</span>', text)
        return format_html('<span class="taskq-active">{}</span>', gettext("active"))

    @admin.display(description=_("arguments"))
    def arguments(self, schedule: Schedule) -> SafeString:
        shown = readable.in_lines(schedule.payload, schedule.task)
        return format_html('<pre class="taskq-text">{}</pre>', shown)


def _in_a_line(ticks: list[datetime.datetime]) -> str:
    return ", ".join(tick.replace(tzinfo=None).isoformat(" ") for tick in ticks)
