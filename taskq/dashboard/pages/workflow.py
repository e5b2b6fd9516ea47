"""The page of one workflow: its graph, what has failed of it, and what a person can do."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import messages
from django.db import router
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from taskq import printable
from taskq.dashboard import permissions, shown, workflow_queries, workflow_words
from taskq.dashboard.acting import Acting, say
from taskq.dashboard.page import Page
from taskq.dashboard.workflow_chart import Box, chart
from taskq.dashboard.workflow_queries import NodeState, Seen
from taskq.models import Cancelled, SentWorkflow, Task, TaskQuerySet
from taskq.task import ids
from taskq.workflow import send_again
from taskq.workflow.overview import Course
from taskq.workflow.standing import Standing

#: The verbs of the buttons.
RETRY, RETRY_FAILED, CANCEL, AGAIN = "retry", "retry_failed", "cancel", "send_again"


class WorkflowPage(Acting, Page):
    """A click on "cancel" needs a confirmation."""

    entry = "workflows"
    template_name = "taskq/dashboard/workflow.html"
    live = "taskq/dashboard/live/workflow.html"
    needs: ClassVar[dict[str, str]] = {
        RETRY: permissions.ACT,
        RETRY_FAILED: permissions.ACT,
        CANCEL: permissions.ACT,
        AGAIN: permissions.ACT,
    }

    @property
    def id(self) -> int:
        pk: int = self.kwargs["pk"]
        return pk

    @property
    def seen(self) -> Seen:
        """The workflow. All who look at it ask once."""
        found = workflow_queries.workflow(self.alias, self.id)
        if found is None:
            raise Http404(gettext("There is no such workflow, or it ended long ago."))
        return found

    @property
    def title(self) -> Any:  # type: ignore[override]
        name = self.seen.line.row.name
        return f"{printable.in_a_line(name) or gettext('Workflow')} #{self.id}"

    def look(self) -> dict[str, Any]:
        seen = self.seen
        node = self._node(seen)
        return {
            "seen": seen,
            "chart": self._chart(seen),
            "node": node,
            "tasks": workflow_queries.tasks(seen, node.number) if node is not None else [],
            "many": workflow_queries.MANY_TASKS,
            "verbs": self._verbs(seen),
        }

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        sure = self.request.GET.get("verb") == CANCEL and CANCEL in self._verbs(self.seen)
        return super().get_context_data(**kwargs, seen=self.seen, confirm=sure)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Do what a button says. That of one step names it: ``retry:12``."""
        verb, _, step = request.POST.get("act", "").partition(":")
        self.check(verb, field="act", also=", the first with :ID")
        found = SentWorkflow.objects.using(router.db_for_write(SentWorkflow)).filter(pk=self.id)
        workflow = found.only("pk", "name").first()
        if workflow is None:
            raise Http404(gettext("There is no such workflow, or it ended long ago."))
        if verb == AGAIN:
            sent = send_again(workflow)
            text = gettext("All of it was sent again. This is the new workflow.")
            return say(request, messages.SUCCESS, text, "workflow", pk=sent.pk)
        done, text = act(verb, workflow, step)
        level = messages.SUCCESS if done else messages.WARNING
        return say(request, level, text, "workflow", pk=self.id)

    def _verbs(self, seen: Seen) -> list[str]:
        """What this person can do to the workflow now."""
        line = seen.line
        useful = {
            RETRY: line.failed and line.row.cancelled_at is None,
            RETRY_FAILED: line.failed and line.row.cancelled_at is None,
            CANCEL: line.left and line.row.cancelled_at is None,
            AGAIN: line.course in (Course.DONE, Course.CANCELLED) and seen.graph is not None,
        }
        return [
            verb
            for verb, would in useful.items()
            if would and permissions.may(self.request, self.needs[verb])
        ]

    def _node(self, seen: Seen) -> NodeState | None:
        """The node that was chosen by its number."""
        chosen = self.request.GET.get("node", "")
        return next((node for node in seen.nodes if str(node.number) == chosen), None)

    def _chart(self, seen: Seen) -> SafeString | str:
        if seen.folded is None or not seen.nodes:
            return ""
        links = sorted(seen.folded.links)
        return chart([_box(node) for node in seen.nodes], links)


def _box(node: NodeState) -> Box:
    name, text = workflow_words.title(node), workflow_words.in_words(node)
    if node.task is not None:
        url = reverse("taskq_dashboard:task", kwargs={"id": node.task})
        if node.seconds is not None and node.standing is Standing.DONE:
            text = f"{text}, {shown.span(node.seconds)}"
    else:
        url = f"?node={node.number}#node"
    short = name.rpartition(".")[2]
    return Box(
        layer=node.layer,
        title=f"{shown.number(node.size)} {short}" if node.size > 1 else short,
        text=text,
        said=f"{name}: {text}",
        url=url,
        counts=node.counts,
    )


def act(verb: str, workflow: SentWorkflow, step: str) -> tuple[bool, str]:
    """Do it. Returns whether anything was done, and what to say.

    step: the primary key of the step that is retried, as text.
    """
    if verb == CANCEL:
        return _cancelled(workflow.cancel())
    if verb == RETRY_FAILED:
        count = workflow.retry_failed()
    else:
        chosen = TaskQuerySet(Task).filter(workflow=workflow.pk)
        pk = min(int(step), ids.TOO_LARGE - 1) if step.isdecimal() else 0
        count = chosen.filter(pk=pk).retry()
    if not count:
        return False, gettext("There is nothing to retry.")
    text = ngettext(
        "%(count)s step will run again. What waits for it goes on after that.",
        "%(count)s steps will run again. What waits for them goes on after that.",
        count,
    )
    return True, text % {"count": shown.number(count)}


def _cancelled(cancelled: Cancelled) -> tuple[bool, str]:
    text = gettext("The workflow is cancelled: %(removed)s removed, %(asked)s asked to end.")
    return True, text % {
        "removed": _steps(cancelled.removed),
        "asked": _steps(cancelled.asked),
    }


def _steps(count: int) -> str:
    text = ngettext("%(count)s step", "%(count)s steps", count)
    return text % {"count": shown.number(count)}
