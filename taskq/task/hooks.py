"""What a front door of its own does around a run of its task, in the worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from taskq.task.outcomes import Outcome


class RunHooks(Protocol):
    """One run, as its front door sees it. Nothing here may raise."""

    def first(self) -> Sequence[object]:
        """Arguments that go before the task's own."""

    def started(self) -> None:
        """The function is about to be called."""

    def finished(self, outcome: Outcome) -> None:
        """What came of it is written; it was ours to write."""
