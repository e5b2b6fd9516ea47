"""What a front door does in the worker around a run of its task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from taskq.task.outcomes import Outcome


class RunHooks(Protocol):
    """Called around one run. No method may raise."""

    def first(self) -> Sequence[object]:
        """Arguments that go before the task's own."""

    def started(self) -> None:
        """The function is about to be called."""

    def finished(self, outcome: Outcome) -> None:
        """The outcome is written."""
