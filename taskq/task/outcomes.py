"""The outcomes that a run can have."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Done:
    """The function returned.

    written: the row is gone already, in the transaction of the task's own writes.
    result: what the function returned, encoded. None where that is not kept.
    passed: the same, for the later steps of a workflow. None where none of them gets it.
    """

    written: bool
    result: str | None = None
    passed: str | None = None


DONE = Done(written=False)
DONE_AND_WRITTEN = Done(written=True)


@dataclass(frozen=True, slots=True)
class Retried:
    """The task runs again, at a time or after seconds.

    changes: new values of columns of its call; None for the same call.
    exception: as in :class:`Failed`.
    """

    when: datetime.datetime | None
    delay: float
    error: str
    traceback: str
    kind: str
    exception: BaseException | None = None
    changes: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The run failed for good.

    kind: the path of the exception's class.
    exception: set only where a receiver or a hook gets it, as it keeps the run's locals alive.
    """

    error: str
    traceback: str
    kind: str
    out_of_memory: bool = False
    exception: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Interrupted:
    """An outage of the database ended the run. The task runs again, as after a worker's death.

    read_only: the database took no writes.
    """

    error: str
    traceback: str
    kind: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Fenced:
    """The worker no longer held the task when it came to commit. The effects were rolled back."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """The run has put a graph in its place.

    last: the columns of the step that takes its row. others: the values of the other steps. Both
        are those of :meth:`taskq.store.workflows.WorkflowStore.replace`.
    """

    last: Mapping[str, Any]
    others: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ignored:
    """The task asked to be forgotten: it neither succeeded nor failed. reason: a text, masked."""

    reason: str


Outcome = Done | Retried | Failed | Interrupted | Fenced | Replaced | Ignored
