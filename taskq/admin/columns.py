"""The columns and fields of the admin that show more than a plain field of a task."""

from __future__ import annotations

import datetime
from typing import Any

from django.contrib.admin import display
from django.contrib.admin.views.main import ChangeList
from django.db.models import Field, Model, QuerySet
from django.db.models.functions import Substr
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from taskq import printable, readable
from taskq.models import FinishedTask, Result, ShownState, State, Task
from taskq.models.declared_columns import AsText
from taskq.task.own_state import OwnState
from taskq.task.progress import Progress

#: Shown for an empty value. Django fills it in for fields, but for functions only in lists.
NOTHING = "-"


class TaskList(ChangeList):
    """Fetches only the part of long texts that the list shows."""

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        tasks: QuerySet[Any] = super().get_queryset(request, *args, **kwargs)
        shortened: QuerySet[Any] = tasks.defer("payload", "error", "traceback", "history").annotate(
            payload_start=Substr(AsText("payload"), 1, readable.FETCHED),
            error_start=Substr(AsText("error"), 1, readable.FETCHED),
        )
        return shortened


@display(description=_("state"))
def state(task: Any) -> SafeString:
    if task.shown_state is None:  # a number that no version of taskq writes
        return format_html('<span class="taskq-lost">{}</span>', task.state)
    shown = ShownState(task.shown_state)
    more = []
    if task.queue_paused and task.state == State.READY:
        more.append(gettext("its queue is paused"))
    if shown is ShownState.ACTIVE:
        if task.cancelled_at is not None:
            more.append(gettext("asked to end"))
        if (own := OwnState.read(task.own_state, task.attempt, task.name)) is not None:
            more.append(printable.in_a_line(own.state))
        if (found := Progress.read(task.progress, task.attempt)) is not None:
            more.append(str(found))
        more.append(printable.in_a_line(f"{task.worker.name}, {task.worker.host}"))
    text = format_html('<span class="taskq-{}">{}</span>', shown.value, shown.label)
    return format_html("{}, {}", text, ", ".join(more)) if more else text


@display(description=_("name"))
def name_wrapped(task: Task | Result | FinishedTask) -> SafeString:
    parts = ((part,) for part in printable.in_a_line(task.name).split("."))
    return line(format_html_join(mark_safe(".<wbr>"), "{}", parts))


@display(description=_("arguments"))
def arguments_shortened(task: Any) -> SafeString:
    return line(readable.in_a_line(task.payload_start, task.name))


@display(description=_("arguments, error"))
def arguments_and_error(task: Any) -> SafeString:
    """Arguments above the error, in one column: a list has room for few."""
    error = readable.first_line(task.error_start)
    shown = format_html('<span class="taskq-line taskq-error">{}</span>', error) if error else ""
    return format_html("{}{}", arguments_shortened(task), shown)


@display(description=_("queue"))
def queue_and_priority(row: Task | Result | FinishedTask) -> str:
    queue = printable.in_a_line(row.queue)
    return f"{queue}, {row.priority}" if row.priority else queue


@display(description=_("tries"))
def tries(task: Task) -> str:
    """The runs that count against the task's limits."""
    parts = []
    if task.retries:
        text = ngettext("%(count)d retry", "%(count)d retries", task.retries)
        parts.append(text % {"count": task.retries})
    if task.losses:
        text = ngettext("%(count)d loss", "%(count)d losses", task.losses)
        parts.append(text % {"count": task.losses})
    return ", ".join(parts) or NOTHING


@display(description=_("arguments"))
def arguments(task: Task | Result | FinishedTask) -> SafeString:
    return _text(readable.in_lines(task.payload, task.name))


def moment(model: type[Model], name: str) -> Any:
    """A column of times with seconds. Django's own column leaves the seconds out."""
    field: Field[Any, Any] = model._meta.get_field(name)  # type: ignore[assignment]

    @display(description=field.verbose_name, ordering=name)
    def shown(row: Any) -> SafeString | str:
        found: datetime.datetime | None = getattr(row, name)
        if found is None:
            return NOTHING
        # A line may break between the date and the time, but not inside of them.
        day, time = readable.moment(found).split(" ")
        part = '<span class="taskq-moment">{}</span>'
        return format_html(f"{part} {part}", day, time)

    shown.__name__ = name  # Django makes the CSS class of the cells from it
    return shown


@display(description=_("error"))
def error(task: Task) -> SafeString:
    return _text(readable.text(task.error) or NOTHING)


@display(description=_("traceback"))
def traceback(task: Task) -> SafeString:
    return _text(readable.text(task.traceback) or NOTHING)


def losses(task: Task) -> str:
    return gettext("%(losses)d of %(allowed)d allowed") % {
        "losses": task.losses,
        "allowed": task.max_losses,
    }


@display(description=_("headers"))
def headers(task: Task | FinishedTask) -> SafeString:
    return _text(readable.headers(task.payload) or NOTHING)


@display(description=_("progress"))
def progress(task: Task) -> str:
    found = Progress.read(task.progress, task.attempt)
    return NOTHING if found is None else str(found)


@display(description=_("UUID"))
def uuid(task: Task) -> str:
    return str(task.uuid) if task.pk >= 0 else NOTHING


#: The fieldsets of a task's page. The first has what a person most often looks for.
PAGE: Any = (
    (None, {"fields": ["name", arguments, state, error, traceback]}),
    (
        _("Runs"),
        {
            "fields": [
                "worker_and_lease",
                progress,
                "attempt",
                "retries",
                "losses_named",
                "isolated",
            ]
        },
    ),
    (
        _("Times"),
        {
            "fields": [
                moment(Task, name)
                for name in (
                    *("created_at", "scheduled_at", "execute_at", "expires_at"),
                    *("started_at", "failed_at", "cancelled_at", "unknown_since"),
                )
            ]
        },
    ),
    (
        _("Place"),
        {"fields": ["queue", "priority", "id", uuid, "unique_key", "unique_until", headers]},
    ),
    (_("Workflow"), {"fields": ["workflow_link", "waits_for"]}),
)


def line(text: str) -> SafeString:
    return format_html('<span class="taskq-line">{}</span>', text)


def _text(text: str) -> SafeString:
    return format_html('<pre class="taskq-text">{}</pre>', text)
