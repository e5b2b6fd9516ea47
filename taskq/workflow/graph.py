"""A graph of calls that is not sent yet: its steps, and what each waits for.

:class:`taskq.workflow.Workflow` and Celery's canvas (``taskq.celery``) both make one.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Unpack

from taskq import limits
from taskq.outbox.terms import Terms
from taskq.task.placeholders import FailureDetail, FailureInput, Input, InputList
from taskq.task.registry import Definition
from taskq.task.states import On

#: Seconds from now, or a moment.
Deadline = float | datetime.timedelta | datetime.datetime


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """Stands in the arguments of a later step for what a step returned.

    on: why the later step waits for it.
    """

    step: Step
    on: On = On.DONE


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """Stands for the list of what many steps returned, in this order."""

    steps: Sequence[Step]


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """Stands for what is known of the one that failed, of some steps.

    The step that gets it runs once, after the first failure.
    """

    steps: tuple[Step, ...]
    what: FailureDetail


class Edge(NamedTuple):
    """A step waits for a part, which gives it the input at this place."""

    part: int
    step: int
    place: int
    on: On


class Step:
    """One call in a graph.

    Attributes:
        index: Its number in the graph, from 0.
        definition: The task.
        args: Positional arguments, with placeholders for what is not known yet.
        kwargs: Keyword arguments, the same.
        terms: Where and when it runs.
        passes: Whether a later step gets what it returns.
        goes_on: Whether what waits for it also runs after it has failed.
        places: How many inputs it has.
        alternatives: Steps that run if it fails. Their value takes the place of its own.
    """

    def __init__(
        self, graph: Graph, index: int, definition: Definition, terms: Terms, *, goes_on: bool
    ) -> None:
        self.graph = graph
        self.index = index
        self.definition = definition
        self.terms = terms
        self.goes_on = goes_on
        self.args: list[Any] = []
        self.kwargs: dict[str, Any] = {}
        self.passes = False
        self.places = 0
        self.alternatives: list[Step] = []

    @property
    def result(self) -> Output:
        """Put it anywhere in the arguments of a later step."""
        return Output(self)

    def __repr__(self) -> str:
        return f"step {self.index} ({self.definition.name})"


class Graph:
    """Steps, and the edges between them. No step can wait for a later one, so there is no cycle.

    Args:
        name: For people.
        deadline: Seconds, a timedelta or a datetime. What has not ended by then is cancelled.
    """

    def __init__(self, name: str = "", *, deadline: Deadline | None = None) -> None:
        self.name = name
        self.deadline = deadline
        self.steps: list[Step] = []
        self.edges: list[Edge] = []

    def add(
        self,
        definition: Definition,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        after: Iterable[Step | Failure] = (),
        on: On = On.DONE,
        goes_on: bool = False,
        **terms: Unpack[Terms],
    ) -> Step:
        """Add a call.

        Args:
            definition: The task.
            args: Positional arguments. An Output, Outputs or Failure in them makes the step wait.
            kwargs: Keyword arguments, the same.
            after: Steps that it waits for besides, without a value. A Failure is the first
                failure of some.
            on: For which end of those: done, failed or ended.
            goes_on: What waits for this step also runs after it has failed, with None as its value.
            **terms: As of ``apply_async()``. A countdown counts from the release of the step.

        Raises:
            TypeError: The arguments do not fit the function, the task is unique, or a step is of
                another graph.
            ValueError: The graph has too many steps.
        """
        step = Step(self, len(self.steps), definition, terms, goes_on=goes_on)
        check_size(step.index + 1)
        if definition.options.unique is not None:
            raise TypeError(
                f"{step}: the task is unique, so it may join one that no workflow waits for: send "
                "it from a step, by delay()"
            )
        placing = _Placing(self, step)
        step.args = [placing.put_into(each) for each in args]
        step.kwargs = {name: placing.put_into(value) for name, value in (kwargs or {}).items()}
        if definition.options.typing:
            try:
                definition.check_call(step.args, step.kwargs)
            except TypeError as error:
                raise TypeError(f"step {step.index}: {error}") from error
        for part in after:
            if isinstance(part, Failure):
                placing.put_into(part)
            else:
                placing.add([part], on, passes=False)
        self.steps.append(step)
        self.edges += placing.edges
        return step

    def outputs(self, steps: Iterable[Step]) -> Outputs:
        """What stands for the list of what these steps return."""
        return Outputs(list(steps))

    def instead(self, part: Step, alternative: Step) -> None:
        """Let a step run if a part fails. Its value then takes the place of the part's, for all
        that will wait for the part.

        Raises ValueError when a step waits for the part already.
        """
        for edge in self.edges:
            if edge.part == part.index and edge.on != On.FAILED:
                raise ValueError(
                    f"step {edge.step} waits for {part} already: say what runs instead before that"
                )
        placing = _Placing(self, alternative)
        placing.add([part], On.FAILED, passes=False)
        self.edges += placing.edges
        part.alternatives.append(alternative)

    def include(self, other: Graph, *, after: Sequence[Step] = ()) -> list[Step]:
        """Add copies of all steps of another graph. Its first ones wait for these besides.

        Returns the copies in order. Raises ValueError when there are too many.
        """
        base = len(self.steps)
        check_size(base + len(other.steps))
        copies = []
        for each in other.steps:
            copy = Step(self, base + each.index, each.definition, each.terms, goes_on=each.goes_on)
            copy.args, copy.kwargs = each.args, each.kwargs
            copy.passes, copy.places = each.passes, each.places
            copies.append(copy)
        for copy, each in zip(copies, other.steps, strict=True):
            copy.alternatives = [copies[other.index] for other in each.alternatives]
        self.steps += copies
        self.edges += [
            edge._replace(part=base + edge.part, step=base + edge.step) for edge in other.edges
        ]
        for copy in copies:
            if after and not copy.places:
                placing = _Placing(self, copy)
                for part in after:
                    placing.add([part], On.DONE, passes=False)
                self.edges += placing.edges
        return copies


def check_size(steps: int) -> None:
    """Raise ValueError for more steps than a workflow may have."""
    if steps > limits.STEPS:
        raise ValueError(
            f"a workflow has at most {limits.STEPS:,} steps, not {steps:,}: give each more to do "
            "(chunks), or send the parts from a task, with delay_many()"
        )


class _Placing:
    """Gives each value that a step waits for a place among its inputs."""

    def __init__(self, graph: Graph, step: Step) -> None:
        self._graph = graph
        self._step = step
        self._known: dict[tuple[On, tuple[int, ...]], int] = {}
        self.edges: list[Edge] = []

    def put_into(self, value: Any) -> Any:
        """The value with placeholders, however deep these are."""
        match value:
            case Output(step, on):
                return Input(self._once([step], on))
            case Outputs(steps):
                first = self._step.places
                for each in steps:
                    self.add([each], On.DONE, passes=True)
                return InputList(first, len(steps))
            case Failure(steps, what):
                return FailureInput(self._once(steps, On.FAILED), what)
            case list() | tuple():
                return [self.put_into(each) for each in value]
            case dict():
                return {name: self.put_into(each) for name, each in value.items()}
        return value

    def _once(self, parts: Sequence[Step], on: On) -> int:
        key = on, tuple(part.index for part in parts)
        if key not in self._known:
            self._known[key] = self.add(parts, on, passes=on != On.FAILED)
        return self._known[key]

    def add(self, parts: Sequence[Step], on: On, *, passes: bool) -> int:
        """Add a place, and an edge to it from each of the parts. Returns the place."""
        place = self._step.places
        self._step.places += 1
        for part in parts:
            self._link(part, place, on, passes=passes)
        return place

    def _link(self, part: Step, place: int, on: On, *, passes: bool) -> None:
        if part.graph is not self._graph or part.index >= self._step.index:
            raise TypeError(
                f"{self._step} cannot wait for {part}: it is of another graph, or comes later"
            )
        part.passes = part.passes or passes
        end = On.ENDED if on == On.DONE and part.goes_on else on
        self.edges.append(Edge(part.index, self._step.index, place, end))
        if on != On.FAILED:
            for each in part.alternatives:
                self._link(each, place, on, passes=passes)
