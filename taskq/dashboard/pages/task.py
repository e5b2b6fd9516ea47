"""The page of one task: why it does not run, its runs, its call, and what a person can do."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import messages
from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from taskq import printable, readable, stacks, why
from taskq.dashboard import permissions, timeline
from taskq.dashboard.acting import Acting, say
from taskq.dashboard.page import Page
from taskq.dashboard.queries import FRESH
from taskq.dashboard.remembered import remembered
from taskq.exceptions import NoStack
from taskq.lookup import Known, look_up, of_row
from taskq.models import Edge, EdgeState, Loss, RecentRun, ShownState, State, Task, TaskQuerySet
from taskq.task import ids
from taskq.task.ids import TaskId
from taskq.task.progress import Progress
from taskq.tracebacks import parts
from taskq.why import Reason

#: The most runs that are listed, and the most steps before and after a step of a workflow.
MANY, MANY_STEPS = 100, 20


class TaskPage(Acting, Page):
    template_name = "taskq/dashboard/task.html"
    live = "taskq/dashboard/live/task.html"
    needs: ClassVar[dict[str, str]] = {
        "retry": permissions.ACT,
        "run_now": permissions.ACT,
        "cancel": permissions.ACT,
        "discard": permissions.DELETE,
        "stack": permissions.ACT,
    }

    @functools.cached_property
    def id(self) -> int:
        try:
            return min(ids.parse(self.kwargs["id"]), ids.TOO_LARGE - 1)
        except ValueError as error:
            raise Http404(gettext("That is no id of a task.")) from error

    @property
    def title(self) -> Any:  # type: ignore[override]
        name = self.known.name
        return f"{printable.in_a_line(name)} #{self.id}" if name else f"#{self.id}"

    @property
    def known(self) -> Seen:
        """What is known of the task. All who look at it ask once."""
        id, alias = self.id, self.alias
        return remembered.get(("task", alias, id), lambda: seen(id, alias), seconds=FRESH)

    def look(self) -> dict[str, Any]:
        known = self.known
        return {"seen": known, "uuid": TaskId.of(self.id), "verbs": self._verbs(known.row)}

    def _verbs(self, row: Any) -> list[tuple[str, Any]]:
        """What this person can do to the task now, each with the label of its button."""
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
            "stack": (row.shown_state == ShownState.ACTIVE, _("Where is it now?")),
        }
        return [
            (verb, label)
            for verb, (useful, label) in labels.items()
            if useful and permissions.may(self.request, self.needs[verb])
        ]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found = self.known.found
        name, stored = (found.name, found.payload) if found is not None else (self.known.name, "")
        value = found.value if found is not None else None
        return super().get_context_data(
            **kwargs,
            found=found,
            name=name,
            arguments=readable.in_lines(stored, name),
            headers=readable.headers(stored),
            value=None if value is None else readable.in_lines(value),
        )

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Do what a button says."""
        verb = request.POST.get("verb", "")
        self.check(verb)
        if verb == "stack":
            return self._show_stack()
        row = self.known.row
        done, text = act(verb, TaskQuerySet(Task).filter(pk=self.id))
        if done and verb in ("cancel", "discard") and row is not None and row.workflow_id:
            more = gettext("Steps that wait for it to be done are removed too.")
            text = f"{text} {more}"
        level = messages.SUCCESS if done else messages.WARNING
        return say(request, level, text, "task", id=self.id)

    def _show_stack(self) -> HttpResponse:
        """The page with the stack of the run. The URLconf keeps this out of a transaction."""
        try:
            stack = stacks.ask(self.id)
        except NoStack as error:
            text = printable.in_a_line(str(error))
            return say(self.request, messages.WARNING, text, "task", id=self.id)
        return self.render_to_response(self.get_context_data(stack=parts(readable.text(stack))))


@dataclass(frozen=True)
class Seen:
    """What is known of a task at one moment.

    Attributes:
        row: Its row; None when it has none.
        name: Its name; empty when nothing is known.
        state: Its state; None without a row, and for a state that this version does not know.
        reasons: Why it does not run, or what has become of it.
        runs: Its runs, oldest first.
        found: What its row, its result or the row of a finished task says.
        before, after: Steps of its workflow that it waits for, and that wait for it.
    """

    row: Any
    name: str
    state: ShownState | None
    progress: Progress | None
    reasons: list[Reason]
    runs: list[timeline.Run]
    found: Known | None
    before: list[Task]
    after: list[Task]


def seen(id: int, alias: str) -> Seen:
    """Look at a task. Each query is a look-up, or a count with a limit."""
    rows = Task.objects.using(alias).filter(pk=id).with_shown_state().annotate(now=Now())
    large = ("inputs", "workflow__steps", "workflow__edges", "workflow__tasks")
    row: Any = rows.select_related("worker", "workflow").defer(*large).first()
    found = look_up(id, using=alias) if row is None else of_row(row)
    # By taskq_recentrun_task.
    noted = list(RecentRun.objects.using(alias).filter(task_id=id).order_by("-started_at")[:MANY])
    # By taskq_loss_task.
    losses = list(Loss.objects.using(alias).filter(task_id=id).order_by("-at")[:MANY])
    is_step = row is not None and row.workflow_id is not None
    name = found.name if found is not None else (noted[0].name if noted else "")
    return Seen(
        row=row,
        name=name,
        state=ShownState(row.shown_state) if row is not None and row.shown_state else None,
        progress=None if row is None else Progress.read(row.progress, row.attempt),
        reasons=why.why(id, using=alias) if row is None else why.of_row(row, alias),
        runs=timeline.runs(found, noted, losses),
        found=found,
        before=_steps(id, alias, "step_id", "part_id") if is_step else [],
        after=_steps(id, alias, "part_id", "step_id") if is_step else [],
    )


def _steps(id: int, alias: str, this: str, other: str) -> list[Task]:
    """Some of the steps at the other end of the edges of a step that are open. By the primary key
    of the edges, or by taskq_edge_part."""
    edges = Edge.objects.using(alias).filter(**{this: id}, state=EdgeState.OPEN)
    ids = list(edges.order_by(other).values_list(other, flat=True)[:MANY_STEPS])
    rows = Task.objects.using(alias).filter(pk__in=ids).with_shown_state()
    return list(rows.only("pk", "name").order_by("pk")) if ids else []


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
