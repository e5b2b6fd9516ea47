"""A large graph as a small one: steps that are alike become one node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from taskq.models import On
from taskq.workflow.shape import Shape

#: Up to so many steps each is a node of its own.
PLAIN = 24
#: The most nodes.
MOST = 60
#: The most layers of a graph that has too many nodes all the same.
BANDS = 20


@dataclass(frozen=True)
class Node:
    """Steps that are drawn as one.

    Attributes:
        names: The names of their tasks, the most frequent first.
        layer: How many layers are before it.
        steps: Their numbers in the graph.
    """

    names: Sequence[str]
    layer: int
    steps: Sequence[int]


@dataclass(frozen=True)
class Folded:
    """The nodes in an order in which each comes after those that it waits for.

    Attributes:
        links: Pairs of nodes, and for which end of the first the second waits.
    """

    nodes: Sequence[Node]
    links: frozenset[tuple[int, int, On]]


def fold(shape: Shape) -> Folded:
    """At most so many nodes, whatever the graph. The finest way that gives few enough is taken."""
    layers = _layers(shape)
    if len(shape) <= PLAIN:
        return _folded(shape, layers, range(len(shape)))
    alike = _alike(shape)
    for kinds in (
        _told_apart(shape, alike),
        alike,
        _numbered(zip(layers, shape.names, strict=True)),
    ):
        if max(kinds) < MOST:
            return _folded(shape, layers, kinds)
    height = max(layers) + 1
    return _folded(shape, layers, [layer * min(BANDS, height) // height for layer in layers])


def _layers(shape: Shape) -> list[int]:
    found: list[int] = []
    for step in range(len(shape)):
        found.append(1 + max((found[part] for part, _place, _on in shape.inputs(step)), default=-1))
    return found


def _alike(shape: Shape) -> list[int]:
    """The kind of each step: its name, and the kinds of what it waits for. What is waited for has
    a lower kind, so there is no circle."""
    kinds: list[int] = []
    known: dict[Hashable, int] = {}
    for step, name in enumerate(shape.names):
        places: dict[int, set[tuple[int, On]]] = {}
        for part, place, on in shape.inputs(step):
            places.setdefault(place, set()).add((kinds[part], on))
        waits = frozenset(map(frozenset, places.values()))
        kinds.append(known.setdefault((name, waits), len(known)))
    return kinds


def _told_apart(shape: Shape, alike: Sequence[int]) -> list[int]:
    """The same, but steps of a kind also have what waits for them in common."""
    after: list[set[tuple[int, On]]] = [set() for _ in alike]
    finer = [0] * len(alike)
    known: dict[Hashable, int] = {}
    for step in reversed(range(len(alike))):
        finer[step] = known.setdefault((alike[step], frozenset(after[step])), len(known))
        for part, _place, on in shape.inputs(step):
            after[part].add((finer[step], on))
    return _numbered(finer)


def _numbered(kinds: Iterable[Hashable]) -> list[int]:
    known: dict[Hashable, int] = {}
    return [known.setdefault(kind, len(known)) for kind in kinds]


def _folded(shape: Shape, layers: Sequence[int], kinds: Iterable[int]) -> Folded:
    """The graph of the kinds. Kinds that are layers have their order from them."""
    steps: dict[int, list[int]] = {}
    of_step = list(kinds)
    for step, kind in enumerate(of_step):
        steps.setdefault(kind, []).append(step)
    order = sorted(steps, key=lambda kind: (layers[steps[kind][0]], steps[kind][0]))
    number = {kind: place for place, kind in enumerate(order)}
    nodes = [
        Node(
            names=[
                name for name, _ in Counter(map(shape.names.__getitem__, steps[kind])).most_common()
            ],
            layer=layers[steps[kind][0]],
            steps=steps[kind],
        )
        for kind in order
    ]
    links = frozenset(
        (number[of_step[part]], number[kind], on)
        for step, kind in enumerate(of_step)
        for part, _place, on in shape.inputs(step)
        if of_step[part] != kind
    )
    return Folded(nodes, links)
