"""Filters of the dashboard's templates."""

from __future__ import annotations

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from taskq import printable
from taskq.dashboard import shown
from taskq.dashboard.queries import Amount
from taskq.dashboard.sparkline import sparkline
from taskq.task.measures import End

register = template.Library()

register.filter("number", shown.number)
register.filter("span", shown.span)
register.filter("share", shown.share)
register.filter("moment", shown.moment)
register.filter("sparkline", sparkline)
register.filter("in_a_line", printable.in_a_line)


@register.filter
def amount(counted: Amount) -> str:
    """What was counted up to a bound: 12, 10,000+."""
    return shown.number(counted.number) + ("+" if counted.more else "")


@register.filter
def name(text: str) -> SafeString:
    """A dotted name, which may be broken after a dot."""
    parts = ((part,) for part in printable.in_a_line(text).split("."))
    return format_html_join(mark_safe(".<wbr>"), "{}", parts)


@register.filter
def end(value: int) -> SafeString:
    """How a run ended, as a badge."""
    found = End(value)
    return format_html('<span class="badge {}">{}</span>', found.name.lower(), found.label)
