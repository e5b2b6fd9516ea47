"""From a signature to a graph: which step waits for which, and which value goes where.

Works on the dicts of signatures, so that one that was stored needs no other treatment.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from taskq.celery.canvas import calls, nodes
from taskq.celery.canvas.nodes import Leaf, Node
from taskq.celery.canvas.reading import checked, kind_of, merged
from taskq.celery.canvas.shapes import (
    OF_THE_WHOLE,
    chunked,
    entries,
    flat,
    parts_in_line,
    with_id_of,
    without,
)
from taskq.celery.listed import listed
from taskq.task.states import On
from taskq.workflow.graph import Failure, Graph, Output, Outputs, Step

#: How deep parts may lie in others.
DEEPEST = 100
#: More edges than this between two groups, and a step collects the values of the first.
WIDE = 1000
#: The task that collects them.
COLLECT = "taskq.collect"


@dataclass(frozen=True)
class Given:
    """What a part gets from those before it.

    Attributes:
        args: Its first arguments: the value of the part before, or what the caller gave.
        kwargs: Keyword arguments that the caller gave.
        after: The steps that it waits for, or the failure of some.
        failing: Steps whose failure its errbacks are told too: the header of its chord.
        on: Why it waits for those steps.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    after: tuple[Step | Failure, ...] = ()
    failing: tuple[Step, ...] = ()
    on: On = On.DONE


@dataclass(frozen=True)
class Planned:
    """A part that is in the graph.

    Attributes:
        value: What it comes to, for the arguments of a later step.
        ends: The steps that it ends with.
        steps: All its steps, without what is linked to them.
        header: The steps of the group that it ends with; none if it ends with a call.
        node: Its place in the tree of results.
    """

    value: Any
    ends: tuple[Step | Failure, ...]
    steps: tuple[Step, ...]
    node: Node
    header: tuple[Step, ...] = ()


class Planner:
    """Puts signatures into a graph.

    Args:
        gives_ids: Give each task an id that it has before there are rows, as a caller may.
        made: The part whose call an own ``apply_async()`` of its task has made already.

    Attributes:
        graph: Where the steps go.
        given: The steps that have an id from their caller, by that id.
    """

    def __init__(self, *, gives_ids: bool = False, made: Mapping[str, Any] | None = None) -> None:
        self._gives_ids = gives_ids
        self._made = made
        self.graph = Graph()
        self.given: dict[str, Step] = {}
        #: The parts that the one in hand lies in.
        self._around: list[int] = []

    def plan(
        self, part: Mapping[str, Any], given: Given, options: Mapping[str, Any]
    ) -> Planned | None:
        """Put a part into the graph.

        options: those that win over its own.

        Returns None for an empty chain. Raises TypeError or ValueError for what cannot be sent.
        """
        part = checked(part)
        if id(part) in self._around:
            raise ValueError(f"{part['task']} is a part of itself: a workflow has no cycles")
        if len(self._around) >= DEEPEST:
            raise ValueError(f"{part['task']} lies in more than {DEEPEST} parts: make it flatter")
        self._around.append(id(part))
        try:
            match kind_of(part):
                case "chain":
                    return self._chain(part, given, options)
                case "group":
                    return self._group(part, given, options)
                case "chunks":
                    return self._group(chunked(part), given, options)
                case "chord":
                    return self._chord(part, given, options)
                case _:
                    return self._call(part, given, options)
        finally:
            self._around.pop()

    def collected(self, planned: Planned) -> Planned:
        """The same value as that of one step, which comes behind."""
        step = self.graph.add(calls.definition(COLLECT), (planned.value,))
        return replace(planned, value=Output(step), ends=(step,), steps=(*planned.steps, step))

    def _call(self, part: Mapping[str, Any], given: Given, over: Mapping[str, Any]) -> Planned:
        definition = calls.definition(part["task"])
        args, kwargs, options = merged(part, given.args, given.kwargs, over)
        if part is not self._made:
            args, kwargs, options = calls.made(definition, args, kwargs, options)
        if self._gives_ids and options.get("task_id") is None:
            options = {**options, "task_id": str(uuid.uuid4())}
        step = self.graph.add(
            definition,
            args,
            kwargs,
            after=given.after if part["immutable"] or not waits(given.args) else (),
            on=given.on,
            **calls.terms(part, definition, options),
        )
        id = options.get("task_id")
        if id is not None:
            self.given[str(id)] = step
        leaf = Leaf(step, None if id is None else str(id))
        planned = Planned(Output(step), (step,), (step,), leaf)
        return self._with_links(planned, options, (*given.failing, step))

    def _chain(
        self, part: Mapping[str, Any], given: Given, over: Mapping[str, Any]
    ) -> Planned | None:
        args, _, options = merged(part, given.args, given.kwargs, over)
        given = replace(given, args=tuple(args), kwargs={} if part["immutable"] else given.kwargs)
        failing, last = given.failing, None
        steps: list[Step] = []
        rest = without(options, OF_THE_WHOLE)
        tasks = parts_in_line(part)
        for index, each in enumerate(tasks):
            if index == len(tasks) - 1:
                rest = with_id_of(options, rest)
            planned = self._next(each, given, rest, last)
            if planned is None:
                continue
            steps += planned.steps
            given = replace(_behind(planned, On.CHAIN), failing=planned.header)
            last, rest = planned, {}
        if last is None:
            return None
        return self._with_links(replace(last, steps=tuple(steps)), options, (*failing, *steps))

    def _next(
        self,
        part: Mapping[str, Any],
        given: Given,
        options: Mapping[str, Any],
        before: Planned | None,
    ) -> Planned | None:
        """A part of a chain, or the body of a chord."""
        parts = len(given.after)
        if before is not None and parts > 1 and parts * entries(part) > WIDE + parts:
            before = self.collected(before)
            given = replace(given, args=(before.value,), after=before.ends)
        planned = self.plan(part, given, options)
        if planned is not None and before is not None:
            nodes.first_of(planned.node).before = before.node
        return planned

    def _group(self, part: Mapping[str, Any], given: Given, over: Mapping[str, Any]) -> Planned:
        _, _, options = merged(part, (), {}, over)
        given = replace(given, args=(*given.args, *part["args"]))
        rest = without(options, {"link", "task_id"})
        found = [
            planned
            for each, more in flat(part, rest)
            if (planned := self.plan(each, given, more)) is not None
        ]
        node = nodes.Branch(options.get("task_id") or str(uuid.uuid4()), [x.node for x in found])
        if not found:
            return Planned([], given.after, (), node)
        ends = tuple(step for each in found for step in each.ends)
        steps = tuple(step for each in found for step in each.steps)
        planned = Planned(value_of(found), ends, steps, node, header=steps)
        return self._with_links(planned, {"link": options.get("link")}, ())

    def _chord(self, part: Mapping[str, Any], given: Given, over: Mapping[str, Any]) -> Planned:
        _, _, options = merged(part, (), {}, over)
        body, (args, kwargs), header = calls.taken_apart(part, given.args, given.kwargs)
        shared = without(options, OF_THE_WHOLE)
        first = self._group(header, replace(given, args=args, kwargs=kwargs), shared)
        failing = (*given.failing, *first.steps)
        on = On.DONE if first.steps else given.on
        behind = Given((first.value,), after=first.ends, failing=failing, on=on)
        of_body = with_id_of(options, without(shared, {"countdown", "eta"}))
        last = self._next(body, behind, of_body, first)
        if last is None:
            raise TypeError("the body of a chord is an empty chain: give it a part")
        steps = (*first.steps, *last.steps)
        return self._with_links(replace(last, steps=steps), options, (*given.failing, *steps))

    def _with_links(
        self, planned: Planned, options: Mapping[str, Any], failing: Sequence[Step]
    ) -> Planned:
        """The part, with its callbacks and errbacks in the graph too.

        failing: the steps whose failure its errbacks are told.
        """
        for callback in listed(options.get("link")):
            linked = self.plan(checked(callback, "link"), _behind(planned, On.LINK), {})
            if linked is not None:
                planned.node.callbacks.append(nodes.first_of(linked.node))
        for errback in listed(options.get("link_error")):
            self._errback(checked(errback, "link_error"), tuple(failing))
        return planned

    def _errback(self, errback: Mapping[str, Any], failing: tuple[Step, ...]) -> None:
        details = calls.told(errback)
        told = tuple(Failure(failing, what) for what in details)
        self.plan(errback, Given(told, after=(Failure(failing, "id"),)), {})


def _behind(planned: Planned, on: On) -> Given:
    """What a part gets that comes behind this one. on: why it waits, where this one is a call,
    which may drop what follows."""
    value = planned.value
    if planned.header or not isinstance(value, Output):
        return Given((value,), after=planned.ends)
    return Given((replace(value, on=on),), after=planned.ends, on=on)


def waits(value: Any) -> bool:
    """Whether the value is not known yet. That of an empty group is."""
    if isinstance(value, (list, tuple)):
        return any(map(waits, value))
    return isinstance(value, (Output, Outputs))


def value_of(parts: Sequence[Planned]) -> Any:
    """The list of the values of these parts."""
    if all(isinstance(part.value, Output) for part in parts):
        return Outputs([part.value.step for part in parts])
    return [part.value for part in parts]
