"""What all results share: the results before and behind them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from taskq.exceptions import IncompleteStream

#: What a result of Celery's has and one of these lacks, with what to use instead.
_INSTEAD = {
    "then": "send what follows as a chain, task.s() | other.s(), or use get(callback=…)",
    "abort": "use cancel()",
    "throw": "use maybe_throw()",
    "iter_native": "use iterate()",
    "backend": "results are in the database: use the methods of the result, or taskq.models.Result",
    "app": "use taskq.celery.current_app",
    **dict.fromkeys(("build_graph", "graph"), "the dashboard draws a workflow; use collect()"),
}


class ResultBase(ABC):
    """A result in a tree of results: what ran before it, and what runs after it.

    Attributes:
        parent: The result before it, in a workflow that was sent by this process, or that
            ``result_from_tuple()`` has made.
    """

    __slots__ = ()

    id: Any
    parent: ResultBase | None

    if not TYPE_CHECKING:  # a checker of types should go on to name what is unknown

        def __getattr__(self, name: str) -> NoReturn:
            if name in _INSTEAD:
                raise AttributeError(f"a result has no {name!r} here: {_INSTEAD[name]}")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    @abstractmethod
    def children(self) -> list[ResultBase] | None:
        """The results behind this one. None when there are none."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether it is over."""

    @abstractmethod
    def get(self, timeout: float | None = None, propagate: bool = True, **options: Any) -> Any:
        """The value, after a wait for it."""

    @abstractmethod
    def forget_alone(self) -> None:
        """Forget this result, and none of those before it."""

    def as_tuple(self) -> tuple[Any, ...]:
        """The ids of this result and of those before it, for ``result_from_tuple()``. JSON can
        carry them."""
        return (str(self.id), self.parent and self.parent.as_tuple()), None

    def as_list(self) -> list[str]:
        """The ids of this result and of those before it, in this order."""
        return [str(self.id), *(str(result.id) for result in self.parents())]

    def parents(self) -> Iterator[ResultBase]:
        """The results before this one, the nearest first."""
        result = self.parent
        while result is not None:
            yield result
            result = result.parent

    def iterdeps(
        self, intermediate: bool = False
    ) -> Iterator[tuple[ResultBase | None, ResultBase]]:
        """This result and all behind it, each with the one before it.

        intermediate: go on where a result is not ready, without what is behind it.

        Raises IncompleteStream where a result is not ready.
        """
        left: deque[tuple[ResultBase | None, ResultBase]] = deque([(None, self)])
        while left:
            before, result = left.popleft()
            yield before, result
            if result.ready():
                left.extend((result, child) for child in result.children or ())
            elif not intermediate:
                raise IncompleteStream(f"{result!r} is not ready")

    def collect(
        self, intermediate: bool = False, **options: Any
    ) -> Iterator[tuple[ResultBase, Any]]:
        """This result and all behind it, each with its value. Options are those of ``get()``."""
        for _, result in self.iterdeps(intermediate=intermediate):
            yield result, result.get(**options)

    def get_leaf(self) -> Any:
        """The value of the last result of :meth:`collect`."""
        return list(self.collect())[-1][1]


def put_behind(before: ResultBase | None, result: Any) -> None:
    """Let the first of a line of results come after another result."""
    while result.parent is not None:
        result = result.parent
    result.parent = before
