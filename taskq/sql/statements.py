"""The names of the statements that each vendor has, by theme. The modules of a vendor explain each
statement: ``taskq/sql/postgresql/tasks.py`` those of ``Statements``, and so on."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any, Protocol

#: Runs a statement with parameters, and returns its rows.
Rows = Callable[[str, Mapping[str, Any]], list[tuple[Any, ...]]]


class EnqueueStatements(Protocol):
    """A vendor's module for enqueueing; postgresql/enqueue.py explains each statement."""

    ENQUEUE: str
    ENQUEUE_MANY: str
    ENQUEUE_TIMED: str
    ENQUEUE_MANY_TIMED: str
    WAKE: str | None
    TELL_CANCELLED: str | None
    TELL_STACK: str | None


class ClaimStatements(Protocol):
    """A vendor's module for claims; postgresql/claims.py explains each statement."""

    LANES: str
    CLAIM: str
    CLAIM_FIRST: str | None


class DepthStatements(Protocol):
    """A vendor's module for what waits; postgresql/depths.py explains the statement."""

    DEPTHS: str


class Statements(Protocol):
    """A vendor's module for tasks; postgresql/tasks.py explains each statement."""

    HOLDS: str
    FINISH: str
    FINISH_ONE: str
    LOCK_IF_FREE: str
    STILL_HELD: str | None
    LOCK_IN_ORDER: str | None
    KEEP: tuple[str, ...]
    KEEP_ONE: tuple[str, ...]
    ARCHIVE: tuple[str, ...]
    ARCHIVE_ONE: tuple[str, ...]
    PASS: tuple[str, ...]
    PASS_ONE: tuple[str, ...]
    PASS_SOME: tuple[str, ...]
    PASS_SOME_ONE: tuple[str, ...]
    RETRY: str
    RETRY_CHANGED: str
    FAIL: str
    FAIL_UNHEARD: tuple[str, ...]
    FAIL_PLAINLY: str
    LOSE: str
    DEFER: str
    GIVE_BACK: str
    GIVE_BACK_IF_FREE: str
    HELD_BY: str
    PROGRESS: str
    PROGRESS_IF_FREE: str
    SAY_STATE: str
    CANCELLED_RUNS: str
    HELD_RUNS: str


class PruneStatements(Protocol):
    """A vendor's module for pruning; postgresql/pruning.py explains each statement."""

    RESULTS: str
    FAILED: str
    KEYS: str
    FINISHED: str


class WorkflowStatements(Protocol):
    """A vendor's module for workflows; postgresql/workflows.py explains each name."""

    RELEASE: tuple[str, ...]
    RELEASE_LEFT: tuple[str, ...]
    LEFT: str
    RELEASE_STEPS: tuple[str, ...]
    SETTLE: str
    SETTLE_RECENT: str
    VOID: str
    WALK: str
    FORGET: str
    WITH_VOIDS: str
    VOIDED: str
    REMOVE: str
    LIMIT: str | None
    OPEN: str
    FINISH: str
    LOCK: str
    CANCEL: tuple[str, ...]
    SHAPE: str
    PRUNE: str

    def send(self, rows: Rows, values: Mapping[str, Any]) -> tuple[int | None, list[int]]: ...


class ReplaceStatements(Protocol):
    """A vendor's module for replacing a running task; postgresql/replacing.py explains each
    statement."""

    REPLACE: str
    JOIN: str
    HEAR: str
    ADD_PART: str


class PartitionStatements(Protocol):
    """The module for the partitions of finished tasks; postgresql/partitions.py explains each
    name."""

    LOOK: str
    LIST: str
    STRAYS: str
    LIMITS: tuple[str, ...]

    def name_of(self, day: datetime.date) -> str: ...
    def lock(self, schema: str) -> str: ...
    def make(self, schema: str, day: datetime.date) -> list[str]: ...
    def drop(self, schema: str, day: datetime.date) -> str: ...


class LeaseStatements(Protocol):
    """A vendor's module for workers' leases; postgresql/leases.py explains each statement."""

    GIVE: str
    RENEW: str
    LISTENS: str
    NOTIFIERS_WAITING: str | None
    ANOTHER_LISTENS: str
    EXPIRED: str
    LOCK_WORKER: str
    LOCK_EXPIRED_WORKER: str
    RESTORE_WORKER: str
    RESTORE_WORKERS: str
    NAME_HOLDER: str
    HELD: str
    RECLAIM: str
    RETIRE: str
    DECIDE: str


class LossStatements(Protocol):
    """A vendor's module for losses; postgresql/losses.py explains each statement."""

    ADD: str
    PRUNE: str


class StackStatements(Protocol):
    """A vendor's module for requests for stacks; postgresql/stacks.py explains each statement."""

    ASKED: str
    ANSWER: str
    PRUNE: str


class ScheduleStatements(Protocol):
    """A vendor's module for schedules; postgresql/schedules.py explains each statement."""

    READ: str
    SAVE: str
    NOW: str
    FORGET: str
    LOOK: str
    LOOK_LATE: str
    TICK: tuple[str, ...]
    MARK: str
