"""The handle on a task that was sent."""

from __future__ import annotations

import builtins
import dataclasses
import datetime
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import connections, router

from taskq import sql
from taskq.celery import states
from taskq.celery.joining import refuse_in_a_task
from taskq.exceptions import NoResult
from taskq.lookup import Known, look_up
from taskq.models import Result, Task, TaskQuerySet
from taskq.task import ids, payload
from taskq.task.ids import TaskId
from taskq.task.progress import Progress

T = TypeVar("T")

#: Seconds between two looks for a result: at first, and at most. In between it is this part of the
#: time waited so far.
FIRST_LOOK, LAST_LOOK, LATE = 0.01, 0.5, 0.02


class AsyncResult:
    """A handle on a task that was sent.

    Args:
        id: What ``delay()`` returned, its UUID, or the primary key of the row.
        using: The alias of the database of the task. By default the router decides.

    Raises ValueError for an id that is no str, UUID or int.
    """

    __slots__ = ("_id", "_pk", "_using")

    #: Celery's attributes of a workflow. taskq has no workflows.
    children = parent = None
    #: The exception of :meth:`get`, in the place where Celery's users look for it.
    TimeoutError = builtins.TimeoutError

    def __init__(self, id: str | uuid.UUID | int, *, using: str | None = None) -> None:
        self._id: TaskId | None = None
        try:
            self._pk = ids.parse(id)
        except ValueError:
            if not isinstance(id, str):
                raise
            self._pk, self._id = ids.TOO_LARGE, TaskId(id)
        self._using = using

    @classmethod
    def of(cls, pk: int, using: str | None = None) -> AsyncResult:
        """Make the handle on the task with this primary key."""
        result = cls.__new__(cls)
        result._id, result._pk, result._using = None, pk, using
        return result

    @property
    def id(self) -> TaskId:
        """The id as a str. ``.int`` is the row's primary key, ``.hex`` the text without dashes."""
        if self._id is None:  # made late, because many results are never asked for it
            self._id = TaskId.of(self._pk)
        return self._id

    @property
    def task_id(self) -> TaskId:
        return self.id

    def revoke(self, *, terminate: bool = False, **ignored: Any) -> bool:
        """Remove the task if it has not started.

        With ``terminate`` a run is ended as by ``cancel()``; by default it is left alone. Returns
        whether the task was removed, or will end. Celery's other options are ignored.
        """
        if terminate:
            return self.cancel()
        if self._pk >= ids.TOO_LARGE:
            return False
        connection = connections[self._alias]
        with connection.cursor() as cursor:
            cursor.execute(sql.REVOKE, {"id": self._pk})
            return bool(cursor.rowcount == 1)

    def cancel(self) -> bool:
        """Remove the task if it has not started, and end its run if it has.

        It does not run again, unless a person retries it. ``TaskCancelled`` is raised in a run, and
        after ``CANCEL_GRACE`` seconds its worker is killed. A run is asked to end when the open
        transaction commits. Returns False when the task is done, has failed, or is not known.
        """
        if self._pk >= ids.TOO_LARGE:
            return False
        tasks = TaskQuerySet(Task, using=self._alias)
        return any(tasks.filter(pk=self._pk).cancel())

    # The task and its progress

    @property
    def name(self) -> str | None:
        """The task's name. This and all below are None when neither task nor result exists, nor a
        finished run that is kept."""
        return self._of(lambda known: known.name)

    @property
    def args(self) -> list[Any] | None:
        """The positional arguments. Raises PayloadError when they cannot be read."""
        return self._of(lambda known: payload.decode(known.payload, known.name)[0])

    @property
    def kwargs(self) -> dict[str, Any] | None:
        """The keyword arguments. Raises PayloadError when they cannot be read."""
        return self._of(lambda known: payload.decode(known.payload, known.name)[1])

    @property
    def queue(self) -> str | None:
        return self._of(lambda known: known.queue)

    @property
    def worker(self) -> str | None:
        """The worker that runs the task, or that ran it to its end."""
        return self._of(lambda known: known.worker)

    @property
    def retries(self) -> int | None:
        """How often it was retried."""
        return self._of(lambda known: known.retries)

    @property
    def date_done(self) -> datetime.datetime | None:
        """When the task was done, failed or was cancelled. None before that."""
        return self._of(lambda known: known.finished_at)

    @property
    def progress(self) -> Progress | None:
        """The last ``set_progress()`` of the run, while the task exists; up to 1 s old."""
        return self._of(lambda known: known.progress)

    @property
    def info(self) -> Any:
        """As in Celery: the result, or before there is one ``{"done": …, "total": …}``."""
        known = self._known()
        if known is None or known.state not in states.UNENDED:
            return states.outcome(known)
        return known.progress and dataclasses.asdict(known.progress)

    # The outcome, for tasks with ignore_result=False

    @property
    def status(self) -> str:
        """PENDING, STARTED, RETRY, SUCCESS, FAILURE or REVOKED, as in Celery.

        REVOKED means that it was cancelled while it ran. PENDING also stands for a task that
        does not exist: it was removed before it ran, or neither its result nor its finished run
        is kept any more.
        """
        return states.status(self._known())

    state = status

    def ready(self) -> bool:
        """Whether the task is done, has failed, or was cancelled while it ran."""
        return self.status in states.OVER

    def successful(self) -> bool:
        return self.status == "SUCCESS"

    def failed(self) -> bool:
        return self.status == "FAILURE"

    @property
    def result(self) -> Any:
        """The return value, or a TaskFailed. None while there is neither."""
        return states.outcome(self._known())

    @property
    def traceback(self) -> str | None:
        """The traceback of the last run that raised."""
        return self._of(lambda known: known.traceback or None)

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        *,
        disable_sync_subtasks: bool = True,
        **ignored: Any,
    ) -> Any:
        """Wait for the task's return value.

        In the transaction that sent the task it waits in vain: no worker sees the task yet.

        Args:
            timeout: Seconds. By default it waits for ever, as in Celery.
            propagate: Raise what the task failed with. False returns it.
            disable_sync_subtasks: False lets a task wait. Workers that all wait run nothing.

        Raises:
            TimeoutError: The task is not done after ``timeout``.
            TaskFailed: It failed; TaskRevokedError, one of these: it was cancelled while it ran.
            NoResult: There is neither the task nor a result of it.
            RuntimeError: A task waits for another.
        """
        if disable_sync_subtasks:
            refuse_in_a_task()
        began = time.monotonic()
        until = None if timeout is None else began + timeout
        while True:
            known = self._known()
            if known is None:
                raise NoResult(
                    f"there is neither a task {self} nor a result of it: results are kept by "
                    "tasks with ignore_result=False, for TASKQ['RESULT_TTL'] seconds, and not "
                    "of those that were cancelled before they ran, or expired"
                )
            if states.status(known) in states.OVER:
                return states.given(known, propagate)
            now = time.monotonic()
            if until is not None and now >= until:
                raise TimeoutError(f"task {self} is not done after {timeout:g} s")
            pause = min(max(FIRST_LOOK, LATE * (now - began)), LAST_LOOK)
            time.sleep(pause if until is None else min(pause, until - now))

    wait = get

    def maybe_throw(
        self, propagate: bool = True, callback: Callable[[TaskId, Any], object] | None = None
    ) -> Any:
        """What the task returned, without a wait. ``propagate`` is as of ``get()``; ``callback`` is
        called with the id and what is returned."""
        value = states.given(self._known(), propagate)
        if callback is not None:
            callback(self.id, value)
        return value

    maybe_reraise = maybe_throw

    def forget(self) -> None:
        """Remove the stored result. A failed task stays, so that a person can look at it, and so
        does what ``keep_finished`` keeps."""
        if self._pk < ids.TOO_LARGE:
            Result.objects.using(self._alias).filter(pk=self._pk).delete()

    def _known(self) -> Known | None:
        return look_up(self._pk, self._using) if self._pk < ids.TOO_LARGE else None

    def _of(self, read: Callable[[Known], T]) -> T | None:
        known = self._known()
        return read(known) if known is not None else None

    @property
    def _alias(self) -> str:
        return self._using or router.db_for_write(Task)

    def __eq__(self, other: object) -> bool:
        """As in Celery, a handle equals another handle on the same task, and the task's id."""
        id = other.id if isinstance(other, AsyncResult) else other
        return id == self.id if isinstance(id, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return str(self.id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"
