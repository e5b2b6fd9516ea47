"""Filters of the dashboard's templates."""

from __future__ import annotations

from typing import Any

from django import template
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from taskq import printable, readable
from taskq.dashboard import shown, workflow_words
from taskq.dashboard.queries import Amount
from taskq.dashboard.sparkline import sparkline
from taskq.dashboard.window import Window
from taskq.dashboard.workflow_queries import NodeState
from taskq.models import Loss, ShownState
from taskq.statistics import Figures
from taskq.task.measures import End

register = template.Library()

register.filter("number", shown.number)
register.filter("span", shown.span)
register.filter("share", shown.share)
register.filter("moment", shown.moment)
register.filter("sparkline", sparkline)
register.filter("in_a_line", printable.in_a_line)
register.filter("in_lines", readable.text)
register.filter("first_line", readable.first_line)


@register.filter
def amount(counted: Amount) -> str:
    """What was counted up to a bound: 12, 10,000+."""
    return shown.number(counted.number) + ("+" if counted.more else "")


@register.filter
def up_to(count: int, bound: int) -> str:
    """A count that stops above a bound: 12, 1,000+."""
    return amount(Amount.counted(count, bound))


@register.filter
def name(text: str) -> SafeString:
    """A dotted name: its last part stands out, and it may be broken after a dot."""
    *path, last = printable.in_a_line(text).split(".")
    leading = format_html_join("", "{}.<wbr>", ((part,) for part in path))
    return format_html('<span class="path">{}</span>{}', leading, last)


@register.simple_tag
def task_link(pk: int, name_of_task: str) -> SafeString:
    """A task's name and id, which lead to its page."""
    url = reverse("taskq_dashboard:task", kwargs={"id": pk})
    return format_html('<a href="{}">{} <small>#{}</small></a>', url, name(name_of_task), pk)


@register.simple_tag
def workflow_link(pk: int, name_of_workflow: str) -> SafeString:
    """A workflow's name and number, which lead to its page."""
    url = reverse("taskq_dashboard:workflow", kwargs={"pk": pk})
    shown_name = printable.in_a_line(name_of_workflow) or gettext("Workflow")
    return format_html('<a href="{}">{} <small>#{}</small></a>', url, shown_name, pk)


@register.filter
def badge(choice: Any) -> SafeString:
    """A state of a step or a workflow, as a badge."""
    return format_html('<span class="badge {}">{}</span>', choice.value, choice.label)


@register.filter
def state_label(shown_state: str | None) -> str:
    """A shown state of a row in words. A state that this version does not know has none."""
    return str(ShownState(shown_state).label) if shown_state else shown.NOTHING


@register.filter
def node_title(node: NodeState) -> str:
    """The names of a node of a workflow's graph."""
    return workflow_words.title(node)


@register.filter
def end(value: int) -> SafeString:
    """How a run ended, as a badge. An end that this version does not know has none."""
    if value not in End.values:
        return format_html("{}", shown.NOTHING)
    found = End(value)
    return format_html('<span class="badge {}">{}</span>', found.name.lower(), found.label)


@register.filter
def wait(figures: Figures, percent: int) -> str:
    """The wait that this percentage of the runs did not exceed."""
    return shown.span(figures.wait_time(percent / 100))


@register.filter
def run(figures: Figures, percent: int) -> str:
    """The run time that this percentage of the runs did not exceed."""
    return shown.span(figures.run_time(percent / 100))


@register.filter
def memory(loss: Loss) -> SafeString:
    """The memory of a worker over its last minute, as a small chart."""
    return sparkline([sample.kib for sample in loss.samples])


@register.filter
def a_minute(runs: int, window: Window) -> str:
    """So many runs of a window, as a rate."""
    rate = shown.number(runs / (window.length.total_seconds() / 60))
    return gettext("%(rate)s a minute") % {"rate": rate}


@register.filter
def raw(value: float) -> str:
    """A number for an attribute of HTML, in no language."""
    return f"{value:.6g}"


@register.filter
def whole_seconds(seconds: float) -> str:
    """A time in seconds without a fraction, which would change with each look."""
    return shown.span(float(round(seconds)))
