"""The page of one task: why it does not run, its runs, its call, and what a person can do."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

from django.contrib import messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_protect

from taskq import printable, readable
from taskq.dashboard import permissions, timeline
from taskq.dashboard.page import Page
from taskq.dashboard.remembered import remembered
from taskq.lookup import look_up
from taskq.models import RecentRun, ShownState, State, Task, TaskQuerySet
from taskq.task import ids
from taskq.task.ids import TaskId
from taskq.task.progress import Progress
from taskq.why import why

#: The most runs that are listed.
MANY = 100


@method_decorator(csrf_protect, name="dispatch")
class TaskPage(Page):
    template_name = "taskq/dashboard/task.html"
    live = "taskq/dashboard/live/task.html"
    #: What a person needs for each verb.
    needs: ClassVar[dict[str, str]] = {
        "retry": permissions.ACT,
        "run_now": permissions.ACT,
        "cancel": permissions.ACT,
        "discard": permissions.DELETE,
    }

    @functools.cached_property
    def id(self) -> int:
        try:
            return min(ids.parse(self.kwargs["id"]), ids.TOO_LARGE - 1)
        except ValueError as error:
            raise Http404(gettext("That is no id of a task.")) from error

    @property
    def title(self) -> Any:  # type: ignore[override]
        name = self.name
        return f"{printable.in_a_line(name)} #{self.id}" if name else f"#{self.id}"

    @functools.cached_property
    def row(self) -> Any:
        """The task's row, without its long texts."""
        rows = Task.objects.using(self.alias).filter(pk=self.id).with_shown_state()
        return rows.defer("payload", "traceback", "history").select_related("worker").first()

    @functools.cached_property
    def noted(self) -> list[RecentRun]:
        # By taskq_recentrun_task.
        runs = RecentRun.objects.using(self.alias).filter(task_id=self.id)
        return list(runs.order_by("-started_at")[:MANY])

    @property
    def name(self) -> str:
        if self.row is not None:
            return str(self.row.name)
        return self.noted[0].name if self.noted else ""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "live" in request.GET and request.GET.get("seen") != self.stage:
            # A run has begun or ended: the rest of the page is not as it was either.
            return HttpResponse(status=204, headers={"HX-Refresh": "true"})
        return super().get(request, *args, **kwargs)

    @property
    def stage(self) -> str:
        """A text that is another one when the part of the page that is not live has changed."""
        row = self.row
        return "gone" if row is None else f"{row.state}-{row.attempt}-{row.cancelled_at is None}"

    def look(self) -> dict[str, Any]:
        row = self.row
        return {
            "task": row,
            "state": ShownState(row.shown_state) if row is not None and row.shown_state else None,
            "progress": None if row is None else Progress.read(row.progress, row.attempt),
            "reasons": why(self.id, using=self.alias),
            "verbs": self.verbs(),
        }

    def verbs(self) -> list[tuple[str, Any]]:
        """What this person can do to the task now, each with the label of its button."""
        row = self.row
        if row is None:
            return []
        later = row.shown_state == ShownState.FUTURE
        over = row.state == State.FAILED
        lost = row.shown_state == ShownState.LOST
        labels = {
            "retry": (over or lost or (later and row.attempt > 0), _("Retry")),
            "run_now": (later, _("Run now")),
            "cancel": (not over and row.cancelled_at is None, _("Cancel")),
            "discard": (over or lost, _("Discard")),
        }
        return [
            (verb, label)
            for verb, (useful, label) in labels.items()
            if useful and permissions.may(self.request, self.needs[verb])
        ]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        known = look_up(self.id, using=self.alias)
        name, stored = (known.name, known.payload) if known is not None else (self.name, "")
        value = known.value if known is not None else None
        context = super().get_context_data(
            **kwargs,
            known=known,
            name=name,
            task=self.row,
            uuid=TaskId.of(self.id),
            runs=timeline.runs(known, self.noted),
            arguments=readable.in_lines(stored, name) if known is not None else "",
            headers=readable.headers(stored),
            value=None if value is None else readable.in_lines(value),
        )
        context["live_url"] += f"&seen={self.stage}"
        return context

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Do what a button says."""
        verb = request.POST.get("verb", "")
        if verb not in self.needs:
            raise BadRequest(f"verb is {verb!r}: give one of {', '.join(self.needs)}")
        if not permissions.may(request, self.needs[verb]):
            raise PermissionDenied
        done, text = act(verb, TaskQuerySet(Task).filter(pk=self.id))
        remembered.forget()
        level = messages.SUCCESS if done else messages.WARNING
        messages.add_message(request, level, text, fail_silently=True)
        return redirect("taskq_dashboard:task", id=self.id)


def act(verb: str, tasks: TaskQuerySet) -> tuple[bool, str]:
    """Do it to one task. Returns whether anything was done, and what to say."""
    if verb == "cancel":
        removed, asked = tasks.cancel()
        if removed:
            return True, gettext("The task waited, and was removed.")
        if asked:
            return True, gettext("The task runs, and was asked to end.")
        return False, gettext("Nothing to cancel: the task neither waits nor runs.")
    done, nothing = {
        "retry": (gettext("The task will run again."), gettext("There is nothing to retry.")),
        "run_now": (gettext("The task is due now."), gettext("The task does not wait.")),
        "discard": (
            gettext("The task was discarded."),
            gettext("The task was not discarded: a worker holds it, or it is gone."),
        ),
    }[verb]
    count: int = getattr(tasks, verb)()
    return (True, done) if count else (False, nothing)
