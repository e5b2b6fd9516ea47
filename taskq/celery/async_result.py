"""The handle on a task that was sent."""

from __future__ import annotations

import builtins
import dataclasses
import uuid
from collections.abc import Callable
from typing import Any

from django.db import connections, router

from taskq import lazy_models
from taskq.celery import finding_results, states
from taskq.celery.joining import refuse_in_a_task
from taskq.celery.result_tree import ResultBase
from taskq.celery.task_facts import TaskFacts
from taskq.exceptions import NoResult
from taskq.lookup import Known
from taskq.outbox import given_ids
from taskq.sql.in_both import REVOKE
from taskq.task import ids
from taskq.task.ids import TaskId


class AsyncResult(TaskFacts):
    """A handle on a task that was sent.

    Args:
        id: What ``delay()`` returned, its UUID, or the primary key of the row.
        backend: Ignored: all results are in the database.
        task_name: Ignored too.
        app: Ignored too.
        parent: The result before it, in a workflow.
        using: The alias of the database of the task. By default the router decides.

    Raises ValueError for an id that is no str, UUID or int.
    """

    __slots__ = ("_behind", "_id", "_row", "_using", "parent")

    #: The exception of :meth:`get`, in the place where Celery's users look for it.
    TimeoutError = builtins.TimeoutError

    def __init__(
        self,
        id: str | uuid.UUID | int,
        backend: object = None,
        task_name: str | None = None,
        app: object = None,
        parent: ResultBase | None = None,
        *,
        using: str | None = None,
    ) -> None:
        self._behind: list[ResultBase] | None = None
        self.parent = parent
        self._id: TaskId | None = None
        try:
            self._row: int | None = ids.parse(id)
        except ValueError:
            if not isinstance(id, str):
                raise
            self._row, self._id = None, TaskId(id)
        if self._row is not None and self._row >= ids.TOO_LARGE:  # an id that its caller gave
            text = id if isinstance(id, str) else str(uuid.UUID(int=self._row))
            self._row, self._id = None, TaskId(text)
        self._using = using

    @classmethod
    def of(cls, pk: int, using: str | None = None, given: str | None = None) -> AsyncResult:
        """Make the handle on the task with this primary key. given: the id that its caller gave."""
        result = cls.__new__(cls)
        result._id = None if given is None else TaskId(given)
        result._row, result._using = pk, using
        result.parent = result._behind = None
        return result

    @property
    def _pk(self) -> int:
        """The primary key. One that no row has, where no task has the id that was given."""
        if self._row is None:
            self._row = given_ids.find(str(self._id), self._alias)
        return ids.TOO_LARGE if self._row is None else self._row

    def follow_by(self, results: list[ResultBase]) -> None:
        """Note what runs after this task."""
        self._behind = [*(self._behind or ()), *results]

    @property
    def children(self) -> list[ResultBase] | None:
        """What runs after this task, in a workflow that was sent by this process. Else what waits
        for it now, which is asked of the database."""
        if self._behind is not None or self._pk >= ids.TOO_LARGE:
            return self._behind
        waiting = finding_results.behind(self._pk, self._using)
        return [AsyncResult.of(pk, self._using) for pk in waiting] or None

    @property
    def id(self) -> TaskId:
        """The id as a str. ``.int`` is the row's primary key, ``.hex`` the text without dashes."""
        if self._id is None:  # made late, because many results are never asked for it
            assert self._row is not None  # else there is an id
            self._id = TaskId.of(self._row)
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
            cursor.execute(REVOKE, {"id": self._pk})
            return bool(cursor.rowcount == 1)

    def cancel(self) -> bool:
        """Remove the task if it has not started, and end its run if it has.

        It does not run again, unless a person retries it. ``TaskCancelled`` is raised in a run, and
        after ``CANCEL_GRACE`` seconds its worker is killed. A run is asked to end when the open
        transaction commits. Returns False when the task is done, has failed, or is not known.
        """
        if self._pk >= ids.TOO_LARGE:
            return False
        tasks = lazy_models.TaskQuerySet(lazy_models.Task, using=self._alias)
        return any(tasks.filter(pk=self._pk).cancel())

    # The outcome, for tasks with ignore_result=False

    @property
    def status(self) -> str:
        """PENDING, STARTED, RETRY, SUCCESS, FAILURE or REVOKED, as in Celery.

        While it runs, its own ``update_state()`` may say another one. REVOKED means that it was
        cancelled while it ran. PENDING also stands for a task that does not exist: it was removed
        before it ran, or neither its result nor its finished run is kept any more.
        """
        return states.status(self._known())

    state = status

    def ready(self) -> bool:
        """Whether the task is done, has failed, or was cancelled while it ran."""
        return states.is_over(self._known())

    def successful(self) -> bool:
        return self.status == "SUCCESS"

    def failed(self) -> bool:
        return self.status == "FAILURE"

    @property
    def result(self) -> Any:
        """The return value, or a TaskFailed. None while there is neither."""
        return states.outcome(self._known())

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        *,
        callback: Callable[[TaskId, Any], object] | None = None,
        disable_sync_subtasks: bool = True,
        **ignored: Any,
    ) -> Any:
        """Wait for the task's return value.

        In the transaction that sent the task it waits in vain: no worker sees the task yet.

        Args:
            timeout: Seconds. By default it waits for ever, as in Celery.
            propagate: Raise what the task failed with. False returns it.
            callback: Called with the id and what is returned.
            disable_sync_subtasks: False lets a task wait. Workers that all wait run nothing.

        Raises:
            TimeoutError: The task is not done after ``timeout``.
            TaskFailed: It failed, or a task before it in its workflow. It is of the class of the
                task's error too, if this process knows that class. TaskRevokedError and
                ChordError are such: it was cancelled while it ran, or a part of its chord failed.
            NoResult: There is neither the task nor a result of it.
            RuntimeError: A task waits for another.
        """
        if disable_sync_subtasks:
            refuse_in_a_task()
        for _ in finding_results.looks(timeout, lambda: f"task {self}"):
            known = self._known()
            if known is None:
                self._raise_of_parents()
                raise NoResult(
                    f"there is neither a task {self} nor a result of it: results are kept by "
                    "tasks with ignore_result=False, for TASKQ['RESULT_TTL'] seconds, and not "
                    "of those that were cancelled before they ran, or expired"
                )
            if states.is_over(known):
                return self._told(states.given(known, propagate), callback)
        raise AssertionError("there is always another look, or TimeoutError")

    wait = get

    def maybe_throw(
        self, propagate: bool = True, callback: Callable[[TaskId, Any], object] | None = None
    ) -> Any:
        """What the task returned, without a wait. ``propagate`` is as of ``get()``; ``callback`` is
        called with the id and what is returned."""
        return self._told(states.given(self._known(), propagate), callback)

    maybe_reraise = maybe_throw

    def _told(self, value: Any, callback: Callable[[TaskId, Any], object] | None) -> Any:
        if callback is not None:
            callback(self.id, value)
        return value

    def _raise_of_parents(self) -> None:
        """Raise what a result before this one was cancelled or failed with: then this task has gone
        with it."""
        for result in self.parents():
            if isinstance(result, AsyncResult):
                result.maybe_throw()

    def forget(self) -> None:
        """Remove the stored result. A failed task stays, so that a person can look at it, and so
        does what ``keep_finished`` keeps. The results before it are removed too, as in Celery."""
        for result in (self, *self.parents()):
            result.forget_alone()

    def forget_alone(self) -> None:
        """As :meth:`forget`, without the results before it."""
        if self._pk < ids.TOO_LARGE:
            lazy_models.Result.objects.using(self._alias).filter(pk=self._pk).delete()

    def exists(self) -> bool:
        """Whether there is the task or a result of it."""
        return self._known() is not None

    def _known(self) -> Known | None:
        if self._pk >= ids.TOO_LARGE:
            return None
        known = finding_results.known_of(self._pk, self._using)
        if (
            isinstance(known, finding_results.Stuck)
            and not known.joins
            and self._has_header(known.part.id)
        ):
            return dataclasses.replace(known, joins=True)
        return known

    def _has_header(self, pk: int) -> bool:
        """Whether this comes after a group that the task is of, as the body of a chord does."""
        id = TaskId.of(pk)
        return any(
            id in (result.children or ())
            for result in self.parents()
            if not isinstance(result, AsyncResult)
        )

    @property
    def _alias(self) -> str:
        return self._using or router.db_for_write(lazy_models.Task)

    def __eq__(self, other: object) -> bool:
        """As in Celery, a handle equals another handle on the same task, and the task's id."""
        id = other.id if isinstance(other, AsyncResult) else other
        return id == self.id if isinstance(id, str) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return str(self.id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.id}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), str(self.id), self._using, self.parent)


def key_of(result: AsyncResult) -> tuple[str | None, int]:
    """The alias of the database of a result, and the primary key of its task. That is
    ``ids.TOO_LARGE`` for an id that no task has."""
    return result._using, result._pk


def _restored(
    kind: type[AsyncResult], id: str, using: str | None, parent: ResultBase | None
) -> AsyncResult:
    """The result that was pickled or copied."""
    return kind(id, using=using, parent=parent)
