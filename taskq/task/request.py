"""What a running task can learn about its own run, and tell about it."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from taskq.exceptions import Retry
from taskq.task import call_notes
from taskq.task.celery_fields import CeleryFields
from taskq.task.ids import TaskId
from taskq.task.own_state import OwnState
from taskq.task.progress import Progress


class Host(Protocol):
    """What a run in progress may ask of the worker that runs it."""

    @property
    def is_running(self) -> bool:
        """Whether a task runs."""

    @property
    def worker(self) -> str:
        """The name of the worker in its pool."""

    @property
    def attempt(self) -> int:
        """How often the running task was claimed, this time included."""

    def runs(self, pk: int | None) -> bool:
        """Whether this task runs now. A thread of an earlier run may still ask."""

    def eta(self) -> datetime.datetime | None:
        """When the run was due. This is a query."""

    def priority(self) -> int | None:
        """The priority of the task. This is a query."""

    def lineage(self, workflow: int) -> tuple[str, str | None] | None:
        """The ids of the root and of the parent of the run, a step of this workflow. None where
        they are not known. This is a query."""

    def is_stopping(self) -> bool:
        """Whether the run should end soon."""

    def set_progress(self, progress: Progress) -> None:
        """Show how far the run is."""

    def say_state(self, said: OwnState) -> None:
        """Write at once what the run says of its state."""

    def time_limits(self) -> tuple[float | None, float | None]:
        """The hard and the soft time limit of the run, in seconds."""


#: The worker that this process is; None in any other process.
_host: Host | None = None


def enter(host: Host) -> None:
    """From now on this process is that worker."""
    global _host
    _host = host


def runs_a_task() -> bool:
    """Whether this process is a worker in which a task runs, in whatever thread."""
    return _host is not None and _host.is_running


def worker_name() -> str | None:
    """The name of the worker that this process is, such as "worker 3"; None in any other."""
    return None if _host is None else _host.worker


@dataclass(slots=True)
class Request(CeleryFields):
    """The run in progress, named as in Celery's ``task.request`` where that has it.

    Attributes:
        pk: The primary key of the row; None in an eager run, or outside of any run.
        name: The name of the task.
        queue: The queue that it waited in.
        retries: How many times the task was retried before.
        losses: How many times it lost its worker.
        is_eager: Whether it runs in the caller, without a row.
        called_directly: Whether the function was just called, without a run.
        args: Positional arguments of the call; None outside of a run.
        kwargs: Keyword arguments of the call; None outside of a run.
        sent_headers: What came along: what ``headers`` shows, and what the call says to its run
            (``taskq.task.call_notes``). None for none.
        scheduled_at: The tick that a periodic task was sent for, in UTC; else None.
        retry_limit: What this run gave ``retry()`` in place of its task's ``max_retries``.
        eager_id: The id of an eager run, which has no row.
        asked_retry: What this run asked for by ``retry()``.
        retry_was_swallowed: Its code caught the Retry that this raised, and went on.
        workflow: The number of the workflow of which it is a step; else None.
        hide: Masks the sensitive arguments in a text. None where the task has none.
        returned: What the function returned, where somebody wants to hear of it.
        said: The last state and ``meta`` that the run gave to ``update_state()``.
        drops: What is not to follow this run: a bit for each value of ``taskq.task.states.On``.
    """

    pk: int | None
    name: str
    queue: str
    retries: int = 0
    losses: int = 0
    is_eager: bool = False
    called_directly: bool = False
    args: list[Any] | None = field(default=None, repr=False)
    kwargs: dict[str, Any] | None = field(default=None, repr=False)
    sent_headers: dict[str, Any] | None = None
    scheduled_at: datetime.datetime | None = None
    retry_limit: int | None = None
    eager_id: TaskId | None = None
    asked_retry: Retry | None = None
    retry_was_swallowed: bool = False
    workflow: int | None = None
    hide: Callable[[str], str] | None = field(default=None, repr=False)
    returned: Any = field(default=None, repr=False)
    said: tuple[str, Any] | None = field(default=None, repr=False)
    drops: int = 0

    @property
    def id(self) -> TaskId | None:
        """The id that ``AsyncResult`` shows, or in an eager run the ``EagerResult``; None
        outside of any run. It is the one that the caller gave, if any."""
        if self.sent_headers is not None and (given := call_notes.of(self.sent_headers).get("id")):
            return TaskId(given)
        return self.eager_id if self.pk is None else TaskId.of(self.pk)

    @property
    def headers(self) -> dict[str, Any]:
        """What was sent along, by ``apply_async(headers=…)`` or who hears ``task_enqueuing``."""
        return call_notes.without(self.sent_headers)

    @property
    def worker(self) -> str | None:
        """The name of the worker in its pool, such as "worker 3"; None outside of one."""
        return _host.worker if _host is not None and _host.runs(self.pk) else None

    @property
    def eta(self) -> datetime.datetime | None:
        """When the run was due; None outside of a worker. It is looked up when asked for, by
        a query: not in a coroutine."""
        return _host.eta() if _host is not None and _host.runs(self.pk) else None

    @property
    def priority(self) -> int | None:
        """The priority of the task; None outside of a worker. It is looked up as ``eta`` is."""
        return _host.priority() if _host is not None and _host.runs(self.pk) else None

    def lineage(self) -> tuple[str, str | None] | None:
        """The ids of the root and of the parent of a step of a workflow; None for any other task.
        They are looked up as ``eta`` is."""
        if self.workflow is None or _host is None or not _host.runs(self.pk):
            return None
        return _host.lineage(self.workflow)

    @property
    def attempt(self) -> int:
        """How often the task was claimed, this time included; 0 outside of a worker."""
        return _host.attempt if _host is not None and _host.runs(self.pk) else 0

    @property
    def timelimit(self) -> tuple[float | None, float | None]:
        """The hard and the soft time limit in seconds, wherever they were set; None for none, and
        outside of a worker."""
        if _host is None or not _host.runs(self.pk):
            return None, None
        return _host.time_limits()

    def say_state(self, state: str, meta: Any = None) -> None:
        """Show a state of its own: see ``Task.update_state()``."""
        said = OwnState.checked(state, meta, self.name)
        self.said = state, meta
        if _host is not None and _host.runs(self.pk):
            _host.say_state(said)

    def is_stopping(self) -> bool:
        """Whether this run should come to an end soon: its pool is told to stop, its worker
        is to be replaced, or it was cancelled. A long task asks now and then, notes how far
        it came, and ends with ``retry(countdown=0)``. False outside of a worker."""
        return _host is not None and _host.runs(self.pk) and _host.is_stopping()

    def set_progress(self, done: int, total: int | None = None) -> None:
        """Say how far the run is: the admin and ``AsyncResult.progress`` show it.

        Call it as often as you like: it writes two numbers to memory that the processes of
        a pool share. The database has them within a second, whatever transaction is open.
        Outside of a worker it does nothing.

        Args:
            done: A whole number of anything.
            total: A whole number; None if it is not known.

        Raises:
            TypeError: It is no whole number.
            ValueError: It is below 0, or above what 63 bits hold.
        """
        progress = Progress.checked(done, total)
        if _host is not None and _host.runs(self.pk):
            _host.set_progress(progress)


current: ContextVar[Request | None] = ContextVar("taskq_request", default=None)


def current_request() -> Request | None:
    """The run in progress; None outside of one."""
    return current.get()


def is_stopping() -> bool:
    """``Request.is_stopping()`` of the run in progress; False outside of one."""
    request = current.get()
    return request is not None and request.is_stopping()


def set_progress(done: int, total: int | None = None) -> None:
    """``Request.set_progress()`` of the run in progress; outside of one it does nothing."""
    request = current.get()
    if request is None:
        Progress.checked(done, total)
    else:
        request.set_progress(done, total)
