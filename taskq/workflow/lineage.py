"""What a step of a workflow comes from, as Celery's requests say it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from taskq.models import On, SentWorkflow
from taskq.task import call_notes, payload
from taskq.task.ids import TaskId


class Lineage(NamedTuple):
    """root: the id of the first task. parent: that of the one before; None for a first one."""

    root: str
    parent: str | None


def lineage(workflow: int, pk: int, alias: str) -> Lineage | None:
    """What a step of a workflow comes from. It reads the whole workflow.

    A step that waits for many has the first of them as its parent. What runs after the failure of
    one of many has none.

    Returns None for a step that was not sent with the workflow: it takes the place of another, or
    was added.
    """
    sent = SentWorkflow.objects.using(alias).filter(pk=workflow)
    found = sent.values_list("steps", "edges", "tasks").first()
    if found is None:
        return None
    steps, edges, ids = map(json.loads, found)
    if pk not in ids:
        return None
    before = _before(edges)
    step = first = ids.index(pk)
    while first in before:
        first = before[first][0]
    root = _notes(steps, first).get("root") or _id(steps, ids, first)
    if step not in before:
        return Lineage(root, _notes(steps, step).get("parent"))
    part, known = before[step]
    return Lineage(root, _id(steps, ids, part) if known else None)


def _before(edges: Sequence[Mapping[str, int]]) -> dict[int, tuple[int, bool]]:
    """Of each step that waits the first part that it waits for, and whether it waits for that one
    in any case."""
    found: dict[int, tuple[int, bool]] = {}
    places: dict[int, int] = {}
    for edge in sorted(edges, key=lambda edge: (edge["step"], edge["place"], edge["part"])):
        step = edge["step"]
        if step not in found:
            found[step], places[step] = (edge["part"], True), edge["place"]
        elif edge["place"] == places[step] and edge["waits_for"] == On.FAILED:
            found[step] = found[step][0], False
    return found


def _notes(steps: Sequence[Mapping[str, Any]], step: int) -> Mapping[str, Any]:
    """What the call of a step says to its run. A task that is replaced by others comes last, and is
    not among the steps."""
    if step >= len(steps):
        return {}
    _, _, headers = payload.decode_call(steps[step]["payload"], steps[step]["name"])
    return call_notes.of(headers)


def _id(steps: Sequence[Mapping[str, Any]], ids: Sequence[int], step: int) -> str:
    given = _notes(steps, step).get("id")
    return TaskId.of(ids[step]) if given is None else TaskId(given)
