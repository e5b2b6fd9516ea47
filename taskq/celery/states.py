"""What is known of a task, in Celery's words: its state, and its result or error."""

from __future__ import annotations

from typing import Any

from taskq.celery.looking import Stuck
from taskq.exceptions import ChordError, TaskFailed, TaskRevokedError
from taskq.lookup import Known
from taskq.task import payload
from taskq.task.ids import TaskId
from taskq.task.states import State

#: The states of a row whose task may still run.
UNENDED = (State.READY, State.RUNNING, State.BLOCKED)
#: The states of a task that runs no more.
OVER = ("SUCCESS", "FAILURE", "REVOKED")


def status(known: Known | None) -> str:
    """The state. PENDING also stands for a task that does not exist, as in Celery."""
    if known is None:
        return "PENDING"
    match known.state:
        case State.READY:
            return "RETRY" if known.retries else "PENDING"
        case State.BLOCKED:
            return "PENDING"
        case State.RUNNING:
            return "STARTED"
        case State.FAILED:
            return "REVOKED" if known.cancelled else "FAILURE"
    return "SUCCESS"


def outcome(known: Known | None) -> Any:
    """The return value, or the error as a TaskFailed. None before there is one."""
    if known is None or known.state in UNENDED:
        return None
    if isinstance(known, Stuck) and known.joins:
        part = TaskId.of(known.part.id)
        return ChordError(f"Dependency {part} raised {known.error}", known.traceback)
    if known.state is State.FAILED:
        kind = TaskRevokedError if known.cancelled else TaskFailed
        return kind(known.error, known.traceback)
    if known.value is None:  # a finished task that is kept, and does not keep its result
        return None
    return payload.decode_result(known.value, known.name)


def given(known: Known | None, propagate: bool) -> Any:
    """The outcome. An error is raised if ``propagate`` is set, else it is returned."""
    found = outcome(known)
    if propagate and known is not None and known.state is State.FAILED:
        raise found
    return found
