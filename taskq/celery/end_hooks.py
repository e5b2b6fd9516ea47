"""What the worker does at the end of a run of a task that has hooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from taskq.celery import telling
from taskq.exceptions import TaskCancelled
from taskq.task.claimed import Claimed
from taskq.task.outcomes import Done, Failed, Ignored, Outcome, Retried
from taskq.task.request import Request


class EndHooks:
    """One run. See :class:`taskq.task.hooks.RunHooks`."""

    def __init__(self, task: Any, claimed: Claimed, worker: str) -> None:
        self._task = task

    @property
    def heard(self) -> bool:
        """A hook of a task that keeps its result may look for that."""
        return not self._task.options.ignore_result

    def first(self) -> Sequence[object]:
        return ()

    def started(self) -> None:
        """Nothing: ``before_start`` is called with the function."""

    def finished(self, outcome: Outcome, request: Request, seconds: float) -> None:
        match outcome:
            case Done():
                telling.succeeded(self._task, request, request.returned, seconds)
            case Retried(traceback=traceback, exception=error):
                telling.retried(self._task, request, error, traceback)
            case Failed(exception=TaskCancelled()):
                pass  # task_revoked tells of it
            case Failed(error=text, traceback=traceback, exception=error):
                telling.failed(self._task, request, error, traceback, text)
            case Ignored():
                telling.ignored(self._task, request)
            case _:
                pass  # it will run again, after an outage
