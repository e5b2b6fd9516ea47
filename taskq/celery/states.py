"""Celery's states, and what is known of a task in its words: its state, and its result or error."""

from __future__ import annotations

from typing import Any

from taskq.celery.finding_results import Stuck
from taskq.celery.task_errors import task_error
from taskq.exceptions import ChordError, TaskRevokedError
from taskq.lookup import Known
from taskq.task import payload
from taskq.task.ids import TaskId
from taskq.task.states import State

PENDING = "PENDING"
RECEIVED = "RECEIVED"
STARTED = "STARTED"
SUCCESS = "SUCCESS"
FAILURE = "FAILURE"
REVOKED = "REVOKED"
REJECTED = "REJECTED"
RETRY = "RETRY"
IGNORED = "IGNORED"

READY_STATES = frozenset({SUCCESS, FAILURE, REVOKED})
UNREADY_STATES = frozenset({PENDING, RECEIVED, STARTED, REJECTED, RETRY})
EXCEPTION_STATES = frozenset({RETRY, FAILURE, REVOKED})
PROPAGATE_STATES = frozenset({FAILURE, REVOKED})
ALL_STATES = frozenset({PENDING, RECEIVED, STARTED, SUCCESS, FAILURE, RETRY, REVOKED})

#: From the one that says most to the one that says least. None stands for states of a task's own.
PRECEDENCE = [SUCCESS, FAILURE, None, REVOKED, STARTED, RECEIVED, REJECTED, RETRY, PENDING]

#: The states of a row whose task may still run.
UNENDED = (State.READY, State.RUNNING, State.BLOCKED)
#: The states of a task that runs no more.
OVER = (SUCCESS, FAILURE, REVOKED)


def precedence(state: str) -> int:
    """The place of a state in ``PRECEDENCE``: a lower one says more."""
    return PRECEDENCE.index(state if state in PRECEDENCE else None)


class state(str):
    """A state as a text that is compared by its precedence, as Celery's: ``state(PENDING) <
    state(SUCCESS)``."""

    __slots__ = ()

    def __gt__(self, other: str) -> bool:
        return precedence(self) < precedence(other)

    def __ge__(self, other: str) -> bool:
        return precedence(self) <= precedence(other)

    def __lt__(self, other: str) -> bool:
        return precedence(self) > precedence(other)

    def __le__(self, other: str) -> bool:
        return precedence(self) >= precedence(other)


def status(known: Known | None) -> str:
    """The state. PENDING also stands for a task that does not exist, as in Celery."""
    if known is None:
        return PENDING
    match known.state:
        case State.READY:
            return RETRY if known.retries else PENDING
        case State.BLOCKED:
            return PENDING
        case State.RUNNING:
            return STARTED if known.own_state is None else known.own_state.state
        case State.FAILED:
            return REVOKED if known.cancelled else FAILURE
    return SUCCESS


def is_over(known: Known | None) -> bool:
    """Whether the task runs no more. A run may say SUCCESS of itself, and go on."""
    return known is not None and known.state in (None, State.FAILED)


def outcome(known: Known | None) -> Any:
    """The return value, or the error as a TaskFailed. None before there is one."""
    if known is None or known.state in UNENDED:
        return None
    if isinstance(known, Stuck) and known.joins:
        part = TaskId.of(known.part.id)
        return ChordError(f"Dependency {part} raised {known.error}", known.traceback)
    if known.state is State.FAILED:
        if known.cancelled:
            return TaskRevokedError(known.error, known.traceback)
        runs = (known.part if isinstance(known, Stuck) else known).attempts
        return task_error(runs[-1].kind if runs else "", known.error, known.traceback)
    if known.value is None:  # a finished task that is kept, and does not keep its result
        return None
    return payload.decode_result(known.value, known.name)


def given(known: Known | None, propagate: bool) -> Any:
    """The outcome. An error is raised if ``propagate`` is set, else it is returned."""
    found = outcome(known)
    if propagate and known is not None and known.state is State.FAILED:
        raise found
    return found
