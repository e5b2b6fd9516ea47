"""The tree of the results of a graph: made with it, and turned into results once it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from taskq.celery.async_result import AsyncResult
from taskq.celery.result_set import GroupResult
from taskq.celery.result_tree import ResultBase
from taskq.workflow.graph import Step


@dataclass(eq=False)
class Leaf:
    """The result of one step.

    Attributes:
        step: The step.
        given: The id that its caller gave, if any.
        before: The node before it.
        callbacks: The first nodes of what is linked to it.
    """

    step: Step
    given: str | None = None
    before: Node | None = None
    callbacks: list[Node] = field(default_factory=list)


@dataclass(eq=False)
class Branch:
    """The results of a group.

    Attributes:
        id: The id of the group.
        members: The nodes of its parts.
        before: The node before it.
        callbacks: As of a leaf.
    """

    id: str
    members: list[Node]
    before: Node | None = None
    callbacks: list[Node] = field(default_factory=list)


Node = Leaf | Branch


def first_of(node: Node) -> Node:
    """The first of the line of nodes that ends with this one."""
    while node.before is not None:
        node = node.before
    return node


class Results:
    """Makes the results of nodes.

    ids: the primary keys of the tasks, by the number of their step.
    using: the alias of their database, if one was given.
    """

    def __init__(self, ids: Sequence[int], using: str | None) -> None:
        self._ids = ids
        self._using = using
        self._made: dict[Node, ResultBase] = {}

    def of(self, node: Node) -> Any:
        """The result of a node, with the results before and behind it."""
        line = [node]
        while line[-1].before is not None:
            line.append(line[-1].before)
        for each in reversed(line):  # a chain may be longer than the stack
            self._make(each)
        return self._made[node]

    def _make(self, node: Node) -> ResultBase:
        if node in self._made:
            return self._made[node]
        result: ResultBase
        if isinstance(node, Branch):
            result = GroupResult(node.id, [self.of(each) for each in node.members])
        else:
            pk = self._ids[node.step.index]
            result = AsyncResult.of(pk, self._using, given=node.given)
        self._made[node] = result
        if node.before is not None:
            result.parent = self._made[node.before]
            if isinstance(result.parent, AsyncResult):
                result.parent.follow_by([result])
        if isinstance(result, AsyncResult):
            for callback in node.callbacks:
                result.follow_by([self.of(callback)])
        return result
