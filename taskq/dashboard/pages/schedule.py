"""The page of one schedule: its next ticks, and the form that changes it; and the page of a new
one."""

from __future__ import annotations

import functools
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import router
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from taskq import readable
from taskq.dashboard import permissions
from taskq.dashboard.acting import Acting, say
from taskq.dashboard.page import Page
from taskq.models import Schedule
from taskq.schedules.entry import ScheduleError
from taskq.schedules.form import ScheduleForm, next_ticks
from taskq.schedules.words import in_words


class _Edited(Acting, Page):
    """A page with the form of a schedule."""

    entry = "schedules"
    template_name = "taskq/dashboard/schedule.html"

    @property
    def row(self) -> Schedule | None:
        """The schedule that is to be changed."""
        return None

    @property
    def editable(self) -> bool:
        """Whether this person may use the form."""
        return permissions.may(self.request, permissions.ADD_SCHEDULE)

    def form(self, given: Any = None) -> ScheduleForm:
        return ScheduleForm(given, instance=self.row)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form = kwargs.pop("form", None) or (self.form() if self.editable else None)
        return super().get_context_data(**kwargs, form=form, row=self.row)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not self.editable:
            raise PermissionDenied
        form = self.form(request.POST)
        if not form.is_valid():
            return self.render_to_response(self.get_context_data(form=form))
        try:
            name = form.write().name
        except (ScheduleError, Schedule.DoesNotExist) as error:  # another person was quicker
            return say(request, messages.ERROR, str(error), "schedules")
        text = gettext("%(name)s is saved. Pools see it within 5 seconds.") % {"name": name}
        return say(request, messages.SUCCESS, text, "schedules")


class NewSchedule(_Edited):
    title = _("New schedule")
    permission = permissions.ADD_SCHEDULE


class SchedulePage(_Edited):
    @functools.cached_property
    def row(self) -> Schedule:
        rows = Schedule.objects.using(router.db_for_write(Schedule))
        found = rows.filter(pk=self.kwargs["pk"]).first()
        if found is None:
            raise Http404("there is no such schedule")
        return found

    @property
    def title(self) -> str:  # type: ignore[override]
        return self.row.name

    @property
    def editable(self) -> bool:
        may = permissions.may(self.request, permissions.SCHEDULE)
        return may and not self.row.from_code

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        ticks = next_ticks(self.row)
        return super().get_context_data(
            **kwargs,
            words=in_words(self.row.schedule),
            call=readable.in_a_line(self.row.payload, self.row.task),
            ticks=[] if isinstance(ticks, str) else ticks,
            unreadable=ticks if isinstance(ticks, str) else "",
        )
