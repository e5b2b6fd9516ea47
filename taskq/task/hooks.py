"""What a front door does in the worker around a run of its task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from taskq.task.outcomes import Outcome
from taskq.task.request import Request


class RunHooks(Protocol):
    """Called around one run. No method may raise."""

    @property
    def heard(self) -> bool:
        """Whether somebody is told of the run's end, and may look for its result."""

    def first(self) -> Sequence[object]:
        """Arguments that go before the task's own."""

    def started(self) -> None:
        """The function is about to be called."""

    def finished(self, outcome: Outcome, request: Request, seconds: float) -> None:
        """The outcome is written, or where nobody hears of it, it is about to be.

        seconds: that the run took.
        """
