"""What the pages ask of workflows. A look at a large one is kept for longer, as it reads a row for
each step that is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models import Q
from django.db.models.functions import Substr

from taskq import readable
from taskq.dashboard.queries import FRESH, LASTING
from taskq.dashboard.remembered import remembered
from taskq.models import RecentRun, SentWorkflow, State, Task
from taskq.models.declared_columns import AsText
from taskq.workflow import overview, shape
from taskq.workflow.folding import Folded, fold
from taskq.workflow.overview import Course
from taskq.workflow.shape import Shape
from taskq.workflow.standing import Standing, of_row, standings

#: The most workflows of each list.
MANY_OPEN, MANY_ENDED = 50, 20
#: The most failed steps that are listed, and the most tasks of a node.
MANY_FAILED, MANY_TASKS = 20, 100
#: More steps than this are a large workflow.
LARGE = 2_000
#: Seconds for which a graph is kept. It never changes, but it may be large.
LONG = 600.0


@dataclass(frozen=True)
class Line:
    """A workflow in a list.

    Attributes:
        left, failed: Its steps that are left, and those of them that failed. Both stop at
            ``more`` of overview.COUNTED.
    """

    row: Any
    course: Course
    left: int
    failed: int

    @property
    def more(self) -> bool:
        return self.left > overview.COUNTED

    @property
    def done(self) -> int | None:
        """How many are done; None if too many are left to be counted."""
        return None if self.more else max(self.row.size - self.left, 0)


@dataclass(frozen=True)
class Lists:
    """Workflows: those that stand still, others that have not ended, and those that have."""

    still: list[Line]
    others: list[Line]
    ended: list[Line]
    more_still: bool
    more_others: bool


@dataclass(frozen=True)
class NodeState:
    """A node of the graph, and how its steps stand.

    Attributes:
        number: Its place in the graph.
        names: The names of its tasks, the most frequent first.
        counts: How many of its steps stand how. What needs a person comes first.
        waits_for: The numbers of the nodes that it waits for.
        task: The primary key of its task. None where it has several.
        seconds: How long the last run of that took, if it is noted.
    """

    number: int
    layer: int
    names: Sequence[str]
    counts: Sequence[tuple[Standing, int]]
    waits_for: Sequence[int]
    task: int | None
    seconds: float | None

    @property
    def size(self) -> int:
        return sum(count for _, count in self.counts)

    @property
    def standing(self) -> Standing:
        return self.counts[0][0]


@dataclass(frozen=True)
class Seen:
    """A workflow at one moment.

    Attributes:
        line: The workflow, as lists show it.
        graph, folded: Its graph, and a small one to draw. None if it cannot be read.
        standings: How each step of the graph stands.
        nodes: How the nodes of the small one stand.
        failed: Failed and cancelled steps, the last one first.
        added: How the steps stand that were added while it ran. They are not in the graph.
    """

    line: Line
    graph: Shape | None
    folded: Folded | None
    standings: Sequence[Standing]
    nodes: list[NodeState]
    failed: list[Any]
    added: list[tuple[Standing, int]]


def lists(alias: str) -> Lists:
    return remembered.get(("workflows", alias), lambda: _lists(alias), seconds=FRESH)


def workflow(alias: str, id: int) -> Seen | None:
    """A workflow and its steps; None if there is none."""
    try:
        graph, folded = remembered.get(
            ("graph", alias, id), lambda: _graph(alias, id), seconds=LONG
        )
    except SentWorkflow.DoesNotExist:
        return None
    large = graph is not None and len(graph) > LARGE
    return remembered.get(
        ("workflow", alias, id),
        lambda: _workflow(alias, id, graph, folded),
        seconds=LASTING if large else FRESH,
    )


def tasks(seen: Seen, node: int) -> list[tuple[int, str, Standing]]:
    """Some tasks of a node: id, name and how each stands. What needs a person comes first."""
    graph, folded = seen.graph, seen.folded
    if graph is None or folded is None or not 0 <= node < len(folded.nodes):
        return []
    found = seen.standings
    steps = sorted(folded.nodes[node].steps, key=lambda step: _ORDER[found[step]])
    return [(graph.ids[step], graph.names[step], found[step]) for step in steps[:MANY_TASKS]]


_ORDER = {standing: place for place, standing in enumerate(Standing)}


def _lists(alias: str) -> Lists:
    still = _lines(overview.standing_still(alias)[: MANY_OPEN + 1])
    opened = _lines(overview.open_ones(alias)[: MANY_OPEN + 1])
    ended = _lines(overview.ended(alias)[:MANY_ENDED])
    known = {line.row.pk for line in still}
    return Lists(
        still=still[:MANY_OPEN],
        others=[line for line in opened[:MANY_OPEN] if line.row.pk not in known],
        ended=ended,
        more_still=len(still) > MANY_OPEN,
        more_others=len(opened) > MANY_OPEN,
    )


def _lines(rows: Any) -> list[Line]:
    return [Line(row, overview.course(row), row.left, row.failed) for row in rows]


def _graph(alias: str, id: int) -> tuple[Shape | None, Folded | None]:
    """Raises SentWorkflow.DoesNotExist, which is not remembered."""
    try:
        with transaction.atomic(using=alias):  # an error must not end the request's own
            found = shape.shape_of(id, alias)
    except (*shape.UNREADABLE, DatabaseError):  # written by hand
        return None, None
    if found is None:
        raise SentWorkflow.DoesNotExist
    return found, fold(found)


def _workflow(alias: str, id: int, graph: Shape | None, folded: Folded | None) -> Seen | None:
    row = overview.with_steps(SentWorkflow.objects.using(alias).filter(pk=id)).first()
    if row is None:
        return None
    line = Line(row, overview.course(row), row.left, row.failed)
    # By taskq_task_workflow.
    left = Task.objects.using(alias).filter(workflow=id)
    stand = {
        pk: of_row(state, cancelled)
        for pk, state, cancelled in left.annotate(cancelled=Q(cancelled_at__isnull=False))
        .values_list("pk", "state", "cancelled")
        .order_by()
    }
    over = left.filter(state=State.FAILED).only("pk", "name", "failed_at", "cancelled_at")
    failed = list(
        over.annotate(error_start=Substr(AsText("error"), 1, readable.FETCHED)).order_by(
            "-failed_at"
        )[:MANY_FAILED]
    )
    if graph is None or folded is None:
        return Seen(line, None, None, (), [], failed, _counted(stand.values()))
    found = standings(graph, stand, cancelled=row.cancelled_at is not None)
    added = stand.keys() - set(graph.ids)
    return Seen(
        line,
        graph,
        folded,
        found,
        _nodes(alias, graph, folded, found),
        failed,
        _counted(stand[pk] for pk in added),
    )


def _nodes(alias: str, graph: Shape, folded: Folded, found: Sequence[Standing]) -> list[NodeState]:
    alone = [graph.ids[node.steps[0]] for node in folded.nodes if len(node.steps) == 1]
    # By taskq_recentrun_task.
    runs = RecentRun.objects.using(alias).filter(task_id__in=alone).order_by("started_at")
    seconds = dict(runs.values_list("task_id", "seconds"))
    waits: dict[int, set[int]] = {}
    for part, step, _on in folded.links:
        waits.setdefault(step, set()).add(part)
    nodes = []
    for number, node in enumerate(folded.nodes):
        task = graph.ids[node.steps[0]] if len(node.steps) == 1 else None
        nodes.append(
            NodeState(
                number=number,
                layer=node.layer,
                names=node.names,
                counts=_counted(found[step] for step in node.steps),
                waits_for=sorted(waits.get(number, ())),
                task=task,
                seconds=None if task is None else seconds.get(task),
            )
        )
    return nodes


def _counted(found: Iterable[Standing]) -> list[tuple[Standing, int]]:
    return sorted(Counter(found).items(), key=lambda each: _ORDER[each[0]])
