"""All schedules: in words, when each sends its next task, and whether it is late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import messages
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from taskq import readable
from taskq.dashboard import permissions
from taskq.dashboard.acting import Acting, say
from taskq.dashboard.page import Page
from taskq.dashboard.queries import FRESH
from taskq.dashboard.remembered import remembered
from taskq.models import Schedule
from taskq.models.schedules import ScheduleQuerySet
from taskq.schedules import data, entries
from taskq.schedules.words import in_words

#: Seconds after which a tick that was not sent is late. A keeper sends within a second or two.
LATE = 5.0
#: The most schedules that are listed.
MANY = 500


@dataclass(frozen=True)
class Row:
    """A schedule.

    Attributes:
        words: What it means.
        zone: The time zone of its ticks; empty for an interval, which has none.
        call: Its arguments, shortened.
        late: How many seconds its next tick is late. None: it is not, or is paused.
        here: A person has made it, or this process has it in its code or its settings.
    """

    schedule: Schedule
    words: str
    zone: str
    call: str
    late: float | None
    here: bool


class Schedules(Acting, Page):
    title = _("Schedules")
    entry = "schedules"
    template_name = "taskq/dashboard/schedules.html"
    live = "taskq/dashboard/live/schedules.html"
    needs: ClassVar[dict[str, str]] = {
        "run_now": permissions.ACT,
        "pause": permissions.SCHEDULE,
        "resume": permissions.SCHEDULE,
        "delete": permissions.DELETE_SCHEDULE,
    }

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        may_make = permissions.may(self.request, permissions.ADD_SCHEDULE)
        return super().get_context_data(**kwargs, may_make=may_make)

    def look(self) -> dict[str, Any]:
        alias = self.alias
        found = remembered.get(("schedules", alias), lambda: rows(alias), seconds=FRESH)
        may = {verb: permissions.may(self.request, need) for verb, need in self.needs.items()}
        return {"rows": found, "may_do": may}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        verb, _colon, name = request.POST.get("act", "").partition(":")
        self.check(verb, field="act", also=", and a name")
        chosen = Schedule.objects.filter(name=name)
        level, text = messages.SUCCESS, ""
        try:
            text = act(verb, name, chosen)
        except ValueError as error:  # such as one of another version of the code
            level, text = messages.ERROR, str(error)
        return say(request, level, text, "schedules")


def rows(alias: str) -> list[Row]:
    """The schedules by name. The table has a row for each, and no more."""
    here = entries.names()
    return [
        _row(schedule, not schedule.from_code or schedule.name in here)
        for schedule in Schedule.objects.using(alias).annotate(now=Now()).order_by("name")[:MANY]
    ]


def _row(schedule: Any, here: bool) -> Row:
    late = None
    if schedule.next_at is not None and not schedule.paused:
        seconds = (schedule.now - schedule.next_at).total_seconds()
        late = seconds if seconds > LATE else None
    return Row(
        schedule=schedule,
        words=in_words(schedule.schedule),
        zone="" if schedule.schedule.startswith(("every ", "at ")) else schedule.time_zone,
        call=readable.in_a_line(schedule.payload, schedule.task),
        late=late,
        here=here,
    )


def act(verb: str, name: str, chosen: ScheduleQuerySet) -> str:
    """Do it to one schedule. Returns what to say. Raises ValueError for one that cannot be read, or
    that the code would bring back."""
    if verb == "delete":
        if chosen.exists():
            data.delete(name, using=chosen.db)
            return gettext("%(name)s is deleted.") % {"name": name}
        return gettext("Nothing to do for %(name)s.") % {"name": name}
    count: int = getattr(chosen, verb)()
    done = {
        "run_now": gettext("The task of %(name)s was sent."),
        "pause": gettext("%(name)s is paused: it sends nothing."),
        "resume": gettext("%(name)s goes on with its next tick."),
    }
    text = done[verb] if count else gettext("Nothing to do for %(name)s.")
    return text % {"name": name}
