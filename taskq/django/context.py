"""The context that Django passes to a task, with taskq's additions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from taskq.django.compat import TaskContext
from taskq.task import request as task_request
from taskq.task.request import Request

if TYPE_CHECKING:
    # Generic for the type checker only: the class in Django is not.
    AnyContext: TypeAlias = TaskContext[..., Any]
else:
    AnyContext = TaskContext


class TaskqContext(AnyContext):
    """Django's ``TaskContext`` of a run. See :class:`taskq.task.request.Request`."""

    __slots__ = ()

    @property
    def request(self) -> Request | None:
        """The run in progress, with its headers."""
        return task_request.current_request()

    def is_stopping(self) -> bool:
        """Whether this run should come to an end soon."""
        return task_request.is_stopping()

    def set_progress(self, done: int, total: int | None = None) -> None:
        """Say how far this run is."""
        task_request.set_progress(done, total)
