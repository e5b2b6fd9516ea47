"""Tasks in the admin as steps of workflows: a filter of the list, and links of a task's page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from taskq import printable
from taskq.admin.columns import NOTHING
from taskq.models import Edge, EdgeState, SentWorkflow, Task
from taskq.task import ids

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Task]
else:
    Base = object

#: The most workflows that the filter offers, and the most parts that a task's page names.
MANY, MANY_PARTS = 20, 10


class WorkflowFilter(SimpleListFilter):
    """Of the list of tasks: offers the newest open workflows. The URL may name any other."""

    title = _("workflow")
    parameter_name = "workflow"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        # By taskq_workflow_open.
        newest = SentWorkflow.objects.filter(finished_at=None).order_by("-pk")
        found = {str(pk): _title(pk, name) for pk, name in newest.values_list("pk", "name")[:MANY]}
        chosen = self.value()
        if chosen and chosen not in found:
            found[chosen] = f"#{chosen}"
        return list(found.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if not value:
            return queryset
        if not value.isdecimal():
            raise IncorrectLookupParameters(f"workflow is {value!r}: give its number")
        return queryset.filter(workflow=min(int(value), ids.TOO_LARGE - 1))


class WorkflowLinksMixin(Base):
    """What a task's page says of its workflow, for TaskAdmin."""

    @admin.display(description=_("workflow"))
    def workflow_link(self, task: Task) -> SafeString | str:
        if task.workflow_id is None:
            return NOTHING
        row = SentWorkflow.objects.filter(pk=task.workflow_id).only("name").first()
        title = _title(task.workflow_id, row.name if row is not None else "")
        return self._link("sentworkflow", task.workflow_id, title) if row is not None else title

    @admin.display(description=_("waits for"))
    def waits_for(self, task: Task) -> SafeString | str:
        """The steps that it waits for, the first ones."""
        if task.workflow_id is None:
            return NOTHING
        edges = Edge.objects.filter(step_id=task.pk, state=EdgeState.OPEN).order_by("part_id")
        parts = list(edges.values_list("part_id", flat=True)[: MANY_PARTS + 1])
        names = dict(Task.objects.filter(pk__in=parts[:MANY_PARTS]).values_list("pk", "name"))
        links: list[SafeString | str] = [
            self._link("task", pk, f"{printable.in_a_line(name)} #{pk}")
            for pk, name in sorted(names.items())
        ]
        more = ["…"] if len(parts) > MANY_PARTS else []
        return format_html_join(", ", "{}", ((each,) for each in [*links, *more])) or NOTHING

    def _link(self, model: str, pk: int, text: str) -> SafeString:
        url = reverse(f"admin:taskq_{model}_change", args=[pk], current_app=self.admin_site.name)
        return format_html('<a href="{}">{}</a>', url, text)


def _title(pk: int, name: str) -> str:
    return f"{printable.in_a_line(name)} #{pk}".strip()
