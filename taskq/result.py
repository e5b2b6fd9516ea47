"""The handle on a task that was sent."""

from __future__ import annotations

import dataclasses
import time
import uuid
from typing import Any

from django.db import connections, router

from taskq import payload, sql
from taskq.exceptions import NoResult, TaskFailed, TaskRevokedError
from taskq.lookup import Known, look_up
from taskq.models import State, Task, TaskQuerySet
from taskq.progress import Progress

#: Seconds between the first two looks for a result, and between later ones at most.
FIRST_LOOK, LAST_LOOK = 0.01, 0.5
_OVER = ("SUCCESS", "FAILURE", "REVOKED")


class AsyncResult:
    """A handle on a task that was sent.

    id: a UUID whose ``.int`` is the row's primary key. Given as UUID or as text.
    """

    __slots__ = ("_id", "_pk", "_using")

    def __init__(self, id: uuid.UUID | str, *, using: str | None = None) -> None:
        try:
            given = id if isinstance(id, uuid.UUID) else uuid.UUID(hex=id)
        except (ValueError, AttributeError, TypeError) as error:
            raise ValueError(
                f"{id!r} is no task id; give the UUID that delay() returned"
            ) from error
        self._id: uuid.UUID | None = given
        self._pk = given.int
        self._using = using

    @classmethod
    def of(cls, pk: int, using: str | None = None) -> AsyncResult:
        """The handle on the task with this primary key."""
        result = cls.__new__(cls)
        result._id, result._pk, result._using = None, pk, using
        return result

    @property
    def id(self) -> uuid.UUID:
        if self._id is None:  # many results are never asked
            self._id = uuid.UUID(int=self._pk)
        return self._id

    @property
    def task_id(self) -> uuid.UUID:
        return self.id

    def revoke(self, *, terminate: bool = False) -> bool:
        """Remove the task if it has not started; leave it alone if it runs.

        terminate: end it if it runs, as :meth:`cancel` does.

        Returns whether it was removed, or will end.
        """
        if terminate:
            return self.cancel()
        if self._pk >= 2**63:  # no primary key is that large: the id is not ours
            return False
        connection = connections[self._using or router.db_for_write(Task)]
        with connection.cursor() as cursor:
            cursor.execute(sql.REVOKE, {"id": self._pk})
            return bool(cursor.rowcount == 1)

    def cancel(self) -> bool:
        """Remove the task if it has not started; have it end if it runs. Either way it is
        not run again, unless a person says so.

        In a running one TaskCancelled is raised, and after CANCEL_GRACE seconds its worker
        is killed. As everything else this is part of the transaction that is open: a task
        is asked to end when that commits.

        Returns False when it is too late: it is done, has failed, or is not known.
        """
        if self._pk >= 2**63:
            return False
        tasks = TaskQuerySet(Task, using=self._using or router.db_for_write(Task))
        return any(tasks.filter(pk=self._pk).cancel())

    # How far it is

    @property
    def progress(self) -> Progress | None:
        """What the last run said by ``set_progress()``, while there is a task; up to a
        second old. None when it has not said."""
        known = self._known()
        return known.progress if known is not None else None

    @property
    def info(self) -> Any:
        """As in Celery: the result, and before there is one ``{"done": …, "total": …}``."""
        known = self._known()
        if known is None or known.state not in (State.READY, State.RUNNING):
            return _outcome(known)
        return known.progress and dataclasses.asdict(known.progress)

    # The outcome, for tasks with ignore_result=False

    @property
    def status(self) -> str:
        """PENDING, STARTED, RETRY, SUCCESS, FAILURE or REVOKED, as Celery has them.

        REVOKED: cancelled while it ran. PENDING as well when there is no such task: it was
        removed before it ran, or its result is not kept, or no longer.
        """
        return _status(self._known())

    state = status

    def ready(self) -> bool:
        """Whether it is done, has failed or was cancelled while it ran."""
        return self.status in _OVER

    def successful(self) -> bool:
        return self.status == "SUCCESS"

    def failed(self) -> bool:
        return self.status == "FAILURE"

    @property
    def result(self) -> Any:
        """What it returned, or a TaskFailed; None while there is neither."""
        return _outcome(self._known())

    @property
    def traceback(self) -> str | None:
        """Of the last run that raised."""
        known = self._known()
        return (known.traceback or None) if known is not None else None

    def get(self, timeout: float | None = None, propagate: bool = True, **ignored: Any) -> Any:
        """Wait for what the task returned.

        It waits in vain in the transaction that sent the task, as no worker sees that yet.

        timeout: seconds; None is for ever. propagate: raise what it failed with, rather
            than return it.

        Raises TimeoutError; TaskFailed when it failed, and its TaskRevokedError when it was
        cancelled while it ran; NoResult when there is neither the task nor a result.
        """
        until = None if timeout is None else time.monotonic() + timeout
        pause = FIRST_LOOK
        while True:
            known = self._known()
            if known is None:
                raise NoResult(
                    f"there is neither a task {self} nor a result of it: results are kept by "
                    "tasks with ignore_result=False, for TASKQ['RESULT_TTL'] seconds, and not "
                    "of those that were cancelled before they ran, or expired"
                )
            if _status(known) in _OVER:
                outcome = _outcome(known)
                if propagate and known.state is State.FAILED:
                    raise outcome
                return outcome
            left = pause if until is None else until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"task {self} is not done after {timeout:g} s")
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, LAST_LOOK)

    def _known(self) -> Known | None:
        return look_up(self._pk, self._using) if self._pk < 2**63 else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncResult) and other._pk == self._pk

    def __hash__(self) -> int:
        return hash(self._pk)

    def __str__(self) -> str:
        return str(self.id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"


def _status(known: Known | None) -> str:
    if known is None:
        return "PENDING"
    match known.state:
        case State.READY:
            return "RETRY" if known.retries else "PENDING"
        case State.RUNNING:
            return "STARTED"
        case State.FAILED:
            return "REVOKED" if known.cancelled else "FAILURE"
    return "SUCCESS"


def _outcome(known: Known | None) -> Any:
    if known is None or known.state in (State.READY, State.RUNNING):
        return None
    if known.value is None:
        kind = TaskRevokedError if known.cancelled else TaskFailed
        return kind(known.error, known.traceback)
    return payload.decode_result(known.value, known.name)
