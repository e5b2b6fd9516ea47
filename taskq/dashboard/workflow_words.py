"""The nodes of a workflow's graph in words, as the chart and the table say them."""

from __future__ import annotations

from django.utils.translation import gettext, ngettext

from taskq import printable
from taskq.dashboard import shown
from taskq.dashboard.workflow_queries import NodeState


def title(node: NodeState) -> str:
    """The names of a node."""
    first, *others = node.names
    name = printable.in_a_line(first) or gettext("the task that they replace")
    if not others:
        return name
    count = len(others)
    text = ngettext("%(name)s and %(count)d other", "%(name)s and %(count)d others", count)
    return text % {"name": name.rpartition(".")[2], "count": count}


def in_words(node: NodeState) -> str:
    """How the steps of a node stand: "running", or "3 failed, 12 done"."""
    if node.size == 1:
        return str(node.standing.label)
    return ", ".join(f"{shown.number(count)} {standing.label}" for standing, count in node.counts)
