"""Failed tasks by kind, and the page of one kind, where all of it is retried or discarded."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from taskq import failures
from taskq.dashboard import permissions, shown
from taskq.dashboard.acting import Acting, say
from taskq.dashboard.page import Page
from taskq.dashboard.queries import FRESH, LASTING
from taskq.dashboard.remembered import remembered
from taskq.failures import Group, Groups, walk
from taskq.models import State, Task, TaskQuerySet
from taskq.task import payload
from taskq.task.payload import PayloadError
from taskq.tasks import work_off_failures
from taskq.tracebacks import parts

#: The most groups that are listed, and the most tasks that the page of one lists.
MANY_GROUPS, MANY_TASKS = 100, 20
#: The most tasks on which a click acts at once. For more a task of taskq works them off.
AT_ONCE = 100
#: How many tasks a second are retried or discarded, unless a person says another number.
PER_SECOND, MOST_PER_SECOND = 100, 1_000


@dataclass(frozen=True)
class Job:
    """A group that is being worked off. key: of its kind. task: the id of the step that waits or
    runs."""

    key: str
    task: int
    verb: str
    name: str
    done: int


class Failures(Page):
    title = _("Failures")
    entry = "failures"
    template_name = "taskq/dashboard/failures.html"
    live = "taskq/dashboard/live/failures.html"

    def look(self) -> dict[str, Any]:
        found = groups(self.alias)
        name = self.scope.name
        listed = [group for group in found.all if name in ("", group.kind.name)]
        return {
            "groups": listed[:MANY_GROUPS],
            "more": len(listed[MANY_GROUPS:]),
            "found": found,
            "jobs": jobs(self.alias),
        }


class Failure(Acting, Page):
    """One kind of failure. A click on a verb needs a confirmation, which says how many."""

    entry = "failures"
    template_name = "taskq/dashboard/failure.html"
    live = "taskq/dashboard/live/failure.html"
    needs: ClassVar[dict[str, str]] = {
        "retry": permissions.ACT,
        "discard": permissions.DELETE,
        "stop": permissions.ACT,
    }

    @functools.cached_property
    def group(self) -> Group | None:
        return groups(self.alias).find(self.kwargs["key"])

    @property
    def title(self) -> Any:  # type: ignore[override]
        return self.group.kind.name if self.group is not None else gettext("No such failures")

    def look(self) -> dict[str, Any]:
        return {"jobs": self._jobs()}

    def _jobs(self) -> list[Job]:
        """What is going on with this kind."""
        return [job for job in jobs(self.alias) if job.key == self.kwargs["key"]]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        group, found = self.group, groups(self.alias)
        tasks: list[Any] = []
        traceback = ""
        if group is not None:
            rows = TaskQuerySet(Task, using=self.alias)
            tasks = list(
                rows.filter(pk__in=group.ids[:MANY_TASKS])
                .only("pk", "name", "failed_at", "queue")
                .order_by("-failed_at")
            )
            newest = rows.filter(pk=group.newest).only("traceback").first()
            traceback = newest.traceback if newest is not None else ""
        return super().get_context_data(
            **kwargs,
            group=group,
            found=found,
            tasks=tasks,
            traceback=parts(traceback) if traceback else [],
            per_second=PER_SECOND,
            most=MOST_PER_SECOND,
            verb=self._verb(),
            jobs=self._jobs(),
        )

    def _verb(self) -> str:
        """The verb that is to be confirmed; empty when there is none."""
        verb = self.request.GET.get("verb", "")
        allowed = verb in ("retry", "discard") and permissions.may(self.request, self.needs[verb])
        return verb if allowed else ""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        verb = request.POST.get("verb", "")
        self.check(verb)
        remembered.forget()
        if verb == "stop":
            level, text = messages.SUCCESS, _stop(self._jobs())
        elif self.group is None:
            level, text = messages.WARNING, gettext("No such task has failed any more.")
        else:
            pace = _pace(request.POST.get("per_second", ""))
            level, text = messages.SUCCESS, act(verb, self.group, groups(self.alias), pace)
        return say(request, level, text, "failures")


def groups(alias: str) -> Groups:
    return remembered.get(("failures", alias), lambda: failures.groups(alias), seconds=LASTING)


def jobs(alias: str) -> list[Job]:
    """The groups that are being worked off, by taskq_task_unique."""
    return remembered.get(("jobs", alias), lambda: _jobs(alias), seconds=FRESH)


def act(verb: str, group: Group, found: Groups, per_second: int) -> str:
    """Retry or discard all tasks of a group. Returns what to say."""
    kind, until = group.kind, group.last
    if not found.more and group.count <= AT_ONCE:
        alias = TaskQuerySet(Task).db
        with transaction.atomic(using=alias):
            ids, _end = walk(alias, kind, until=until, many=AT_ONCE)
            tasks = TaskQuerySet(Task).filter(pk__in=ids)
            count = tasks.retry() if verb == "retry" else tasks.discard()
        text = (
            ngettext("%(count)s task will run again.", "%(count)s tasks will run again.", count)
            if verb == "retry"
            else ngettext("%(count)s task was discarded.", "%(count)s tasks were discarded.", count)
        )
        return text % {"count": shown.number(count)}
    work_off_failures.apply_async(
        (verb, kind.name, kind.error, kind.place, until.isoformat(), per_second),
        queue=group.queue,
    )
    text = (
        gettext("They are retried in the background, %(pace)s a second.")
        if verb == "retry"
        else gettext("They are discarded in the background, %(pace)s a second.")
    )
    return text % {"pace": shown.number(per_second)}


def _stop(going_on: list[Job]) -> str:
    steps = TaskQuerySet(Task).filter(pk__in=[job.task for job in going_on])
    count = sum(steps.cancel())
    return gettext("It was stopped.") if count else gettext("Nothing was going on.")


def _jobs(alias: str) -> list[Job]:
    steps = Task.objects.using(alias).filter(
        name=work_off_failures.name, unique_key__isnull=False, state__lt=State.FAILED
    )
    found = []
    for step in steps.order_by("unique_key")[:MANY_GROUPS]:
        try:
            args, _kwargs = payload.decode(step.payload)
            verb, name = str(args[0]), str(args[1])
            done = int(args[7]) if len(args) > 7 else 0
        except (PayloadError, LookupError, TypeError, ValueError):
            continue  # sent by hand, or by another version
        found.append(Job(str(step.unique_key).partition(" ")[2], step.pk, verb, name, done))
    return found


def _pace(given: str) -> int:
    try:
        return min(max(int(given), 1), MOST_PER_SECOND)
    except ValueError:
        return PER_SECOND
