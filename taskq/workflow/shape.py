"""The graph of a workflow that was sent, as its row has it."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db import connections

from taskq import sql
from taskq.models import On

#: By their numbers: there may be a hundred thousand.
_ON = tuple(On)

#: What reading a graph raises that somebody has written by hand.
UNREADABLE = (ValueError, TypeError, LookupError, OverflowError, RecursionError)


class Input(NamedTuple):
    """A part that a step waits for.

    part: its number in the graph.
    place: which input it gives. Of several parts with the same place one is enough.
    on: for which of its ends the step waits.
    """

    part: int
    place: int
    on: On


@dataclass(frozen=True)
class Shape:
    """The steps in their order: a step waits for earlier ones alone. It may be large, so it is made
    of arrays.

    Attributes:
        ids: The primary keys of the tasks.
        names: The names of the tasks.
        first: Where the inputs of each step begin, and where those of the last one end.
        parts, places, ends: The columns of all inputs.
    """

    ids: Sequence[int]
    names: Sequence[str]
    first: Sequence[int]
    parts: Sequence[int]
    places: Sequence[int]
    ends: Sequence[int]

    def __len__(self) -> int:
        return len(self.ids)

    def inputs(self, step: int) -> Iterator[Input]:
        for at in range(self.first[step], self.first[step + 1]):
            yield Input(self.parts[at], self.places[at], _ON[self.ends[at]])


def shape_of(id: int, alias: str) -> Shape | None:
    """The graph of a workflow; None if there is no such workflow. It never changes.

    Raises one of UNREADABLE, or an error of the database.
    """
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute(sql.workflows_of(connection.vendor).SHAPE, {"id": id})
        found = cursor.fetchone()
    if found is None:
        return None
    names, edges, tasks = (json.loads(text) if isinstance(text, str) else text for text in found)
    return shaped(tasks, names or [], edges)


def shaped(tasks: Sequence[int], names: Sequence[str], edges: Sequence[dict[str, int]]) -> Shape:
    """The graph with these tasks and edges, the latter as a row has them.

    A task that other steps replace while it runs comes last, and has no name there.
    """
    ordered = sorted(
        (edge["step"], edge["place"], edge["part"], edge["waits_for"]) for edge in edges
    )
    names = [*names, *[""] * (len(tasks) - len(names))]
    if not all(isinstance(name, str) for name in names):
        raise TypeError("a name of a task is no text")
    known: dict[str, str] = {}
    first, at = array("l"), 0
    for step in range(len(names) + 1):
        while at < len(ordered) and ordered[at][0] < step:
            at += 1
        first.append(at)
    return Shape(
        ids=array("q", tasks),
        names=[known.setdefault(name, name) for name in names],
        first=first,
        parts=array("l", (part for _, _, part, _ in ordered)),
        places=array("l", (place for _, place, _, _ in ordered)),
        ends=array("b", (on for _, _, _, on in ordered)),
    )
