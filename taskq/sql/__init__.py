"""The SQL: one module for each theme and vendor. A name means the same for both vendors."""

from __future__ import annotations

import functools
import importlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any, Protocol, cast

from django.db import NotSupportedError
from django.db.backends.base.base import BaseDatabaseWrapper

from taskq.sql.statements import (
    ClaimStatements,
    DepthStatements,
    EnqueueStatements,
    LeaseStatements,
    LossStatements,
    PartitionStatements,
    PruneStatements,
    ScheduleStatements,
    StackStatements,
    Statements,
    WorkflowStatements,
)

VENDORS = ("postgresql", "sqlite")

#: Remove a task that has not started. The state is checked again on the locked
#: row, so a claim that comes first wins. Primary key look-up.
REVOKE = "DELETE FROM taskq_task WHERE id = %(id)s AND state IN (0, 3)"


def waiting(more: str = "") -> str:
    """A CTE of the queues in which tasks wait; the last one is NULL. It is a loose index scan of
    taskq_task_ready, with one probe for each queue.

    more: a further condition.
    """
    return f"""waiting AS (
    SELECT min(queue) AS queue FROM taskq_task WHERE state = 0{more}
    UNION ALL
    SELECT (SELECT min(queue) FROM taskq_task WHERE state = 0 AND queue > waiting.queue{more})
    FROM waiting WHERE waiting.queue IS NOT NULL
)"""


#: A CTE of the lanes of at most so many of these queues, with one probe for each; the last one of a
#: queue has no priority.
LANES_OF_WAITING = """lane AS (
    SELECT named.queue, (
        SELECT max(priority) FROM taskq_task WHERE state = 0 AND queue = named.queue
    ) AS priority
    FROM (SELECT queue FROM waiting WHERE queue IS NOT NULL LIMIT %(lanes)s) AS named
    UNION ALL
    SELECT lane.queue, (
        SELECT max(priority) FROM taskq_task
        WHERE state = 0 AND queue = lane.queue AND priority < lane.priority
    )
    FROM lane WHERE lane.priority IS NOT NULL
)"""

#: The names of some queues in which tasks wait: a loose index scan of taskq_task_ready, with one
#: probe for each queue, however many tasks wait in it. Locks nothing.
WAITING_QUEUES = f"""
WITH RECURSIVE {waiting()}
SELECT queue FROM waiting WHERE queue IS NOT NULL LIMIT %(limit)s
"""

#: The workers that hold tasks, as ``held.id``; the last one is NULL. A loose index scan of
#: taskq_task_running, with one probe for each of them. Locks nothing.
HOLDING_WORKERS = """WITH RECURSIVE held AS (
    SELECT min(worker_id) AS id FROM taskq_task WHERE state = 1
    UNION ALL
    SELECT (SELECT min(worker_id) FROM taskq_task WHERE state = 1 AND worker_id > held.id)
    FROM held WHERE held.id IS NOT NULL
)"""

#: Of each lane at most so many tasks are counted, due ones and later ones apart: together some
#: thousands, which the database reads in a few milliseconds.
BOUND = "CASE WHEN count(*) <= 2 THEN 10000 WHEN count(*) <= 20 THEN 1000 ELSE 100 END"

#: Whether a workflow stands still: a step of it has failed, and no other is due, waits for its time
#: or runs. The newest failed steps are looked at, by taskq_task_step_failed; of each its workflow,
#: by primary key, and one step, by taskq_task_workflow. With NOT EXISTS the server might read all
#: steps into a hash. Locks nothing.
STANDS_STILL = """EXISTS (
    SELECT 1 FROM (
        SELECT workflow_id FROM taskq_task
        WHERE state = 2 AND workflow_id IS NOT NULL AND cancelled_at IS NULL
        ORDER BY workflow_id DESC LIMIT 5000
    ) AS failed
    WHERE (
        SELECT 1 FROM taskq_workflow AS flow
        WHERE flow.id = failed.workflow_id AND finished_at IS NULL AND cancelled_at IS NULL
    ) = 1 AND (
        SELECT 1 FROM taskq_task AS step
        WHERE step.workflow_id = failed.workflow_id AND step.state IN (0, 1) LIMIT 1
    ) IS NULL
)"""

#: The most characters of a task's history. A longer one starts again with the next run.
HISTORY_LENGTH = 256 * 1024

#: In a history, the error class of a run whose worker was lost, as an SQL literal.
LOST = "'taskq.exceptions.WorkerLost'"

#: The same for a run that ended because its task was cancelled.
CANCELLED = "'taskq.exceptions.TaskCancelled'"

#: Pool, host, name and pid of a worker that holds tasks but has no row.
UNKNOWN_WORKER = "'an unknown pool', '', 'a worker', 0"

#: The columns that a new result replaces in an older one with the same id.
REPLACED = ", ".join(
    f"{column} = excluded.{column}"
    for column in "name payload queue priority created_at run_after started_at history "
    "finished_at worker value".split()
)

#: The columns of a finished task that it has from the task's row.
OF_THE_TASK = (
    "id, name, payload, queue, priority, created_at, execute_at, run_after, started_at, attempt, "
    "retries, history"
)

#: The texts of a wake-up: there is work, a running task was cancelled, somebody asks for a stack.
WORK, CANCEL, STACK = "", "cancel", "stack"


#: The columns of a loss, but for its time, and their values.
LOSS_COLUMNS = (
    "pool, host, worker, pid, task_id, attempt, name, queue, cause, place, stack, memory, runs, "
    "version"
)
LOSS_VALUES = ", ".join(f"%({column})s" for column in LOSS_COLUMNS.split(", "))


class Ids(list[int]):
    """Many ids, as one parameter."""


#: A statement and its parameters.
Call = tuple[str, Mapping[str, Any]]


def for_each(statement: str, worker: int, runs: Iterable[tuple[int, int]]) -> list[Call]:
    """Calls of a statement for many runs (id, attempt) of a worker: one call for each attempt.
    Nearly all runs are a first attempt."""
    by_attempt: dict[int, Ids] = {}
    for id, attempt in runs:
        by_attempt.setdefault(attempt, Ids()).append(id)
    return [
        (statement, {"worker": worker, "ids": ids, "attempt": attempt})
        for attempt, ids in by_attempt.items()
    ]


#: Waits for the server's answer and returns the rows of each statement.
Answer = Callable[[], list[list[tuple[Any, ...]]]]


class Turn(Protocol):
    """A process's turn to write, among the processes of its pool. Only one can write at a time.

    first: while this process waits to write, the others wait before their next write.
    """

    first: bool

    def give_way(self) -> None: ...
    def waits(self) -> None: ...
    def over(self, seconds: float) -> None: ...


class Connection(Protocol):
    """A connection of the queue's own, apart from the connections of the tasks' code.

    home: the schema of the queue's tables, as SQL writes its name. None when it is not known.
    """

    home: str | None

    def __init__(
        self, wrapper: BaseDatabaseWrapper, *, direct: bool, turn: Turn | None = None
    ) -> None: ...
    def rows(self, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]: ...
    def count(self, statement: str, values: Mapping[str, Any]) -> int: ...
    def batch(self, *calls: Call) -> list[list[tuple[Any, ...]]]: ...
    def begin(self, *calls: Call) -> Answer | None: ...
    def has_answered(self) -> bool: ...
    def transaction(self) -> AbstractContextManager[object]: ...
    def listen(self) -> None: ...
    def fileno(self) -> int | None: ...
    def woken(self) -> Counter[str]: ...
    def close(self) -> None: ...


class Driver(Protocol):
    """A vendor's module for own connections; postgresql/own_connection.py explains each name."""

    Connection: type[Connection]

    def connection_options(
        self, options: dict[str, Any], lease: float, name: str
    ) -> dict[str, Any]: ...
    def adapted(self, values: Mapping[str, Any]) -> Mapping[str, Any]: ...


class DjangoConnection(Protocol):
    """One of Django's connections; postgresql/django_connection.py explains each name."""

    @property
    def wrapper(self) -> BaseDatabaseWrapper: ...
    def __init__(self, wrapper: BaseDatabaseWrapper, *, direct: bool = True) -> None: ...
    def rows(self, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]: ...
    def begin(self) -> AbstractContextManager[object]: ...
    def end(self, statement: str, values: Mapping[str, int]) -> bool: ...
    def end_plainly(self, statements: Sequence[str], values: Mapping[str, Any]) -> bool: ...


@functools.cache
def of(vendor: str) -> Statements:
    """The statements about tasks for the vendor of a Django connection.

    Raises NotSupportedError for a database on which taskq does not run, as do the others here.
    """
    return cast(Statements, _module(vendor, "tasks"))


@functools.cache
def claims_of(vendor: str) -> ClaimStatements:
    """The statements that look at the lanes and claim."""
    return cast(ClaimStatements, _module(vendor, "claims"))


@functools.cache
def depths_of(vendor: str) -> DepthStatements:
    """The statement that counts what waits, within bounds."""
    return cast(DepthStatements, _module(vendor, "depths"))


@functools.cache
def driver_of(vendor: str) -> Driver:
    """The module for the queue's own connections."""
    return cast(Driver, _module(vendor, "own_connection"))


def django_connection(wrapper: BaseDatabaseWrapper, *, direct: bool = True) -> DjangoConnection:
    """A connection of Django's, to run taskq's statements in the transaction that is open on it.

    direct: see :func:`taskq.store.connecting.connect`.
    """
    return django_connection_of(wrapper.vendor)(wrapper, direct=direct)


@functools.cache
def django_connection_of(vendor: str) -> type[DjangoConnection]:
    """The class for Django's connections."""
    return cast(type[DjangoConnection], _module(vendor, "django_connection").DjangoConnection)


@functools.cache
def enqueue_of(vendor: str) -> EnqueueStatements:
    """The statements with which a caller sends tasks."""
    return cast(EnqueueStatements, _module(vendor, "enqueue"))


@functools.cache
def leases_of(vendor: str) -> LeaseStatements:
    """The statements about the leases of workers."""
    return cast(LeaseStatements, _module(vendor, "leases"))


@functools.cache
def partitions_of(vendor: str) -> PartitionStatements | None:
    """The statements about the partitions of finished tasks. None on SQLite, which has none."""
    if vendor == "sqlite":
        return None
    return cast(PartitionStatements, _module(vendor, "partitions"))


@functools.cache
def pruning_of(vendor: str) -> PruneStatements:
    """The statements that remove what was kept for long enough."""
    return cast(PruneStatements, _module(vendor, "pruning"))


@functools.cache
def losses_of(vendor: str) -> LossStatements:
    """The statements about losses."""
    return cast(LossStatements, _module(vendor, "losses"))


@functools.cache
def stacks_of(vendor: str) -> StackStatements:
    """The statements that answer who asks for stacks."""
    return cast(StackStatements, _module(vendor, "stacks"))


@functools.cache
def schedules_of(vendor: str) -> ScheduleStatements:
    """The statements about schedules."""
    return cast(ScheduleStatements, _module(vendor, "schedules"))


@functools.cache
def workflows_of(vendor: str) -> WorkflowStatements:
    """The statements about workflows."""
    return cast(WorkflowStatements, _module(vendor, "workflows"))


def load(vendor: str) -> None:
    """Import all SQL modules that a pool's processes need, before the fork."""
    for each in (of, claims_of, driver_of, django_connection_of, enqueue_of, leases_of):
        each(vendor)
    losses_of(vendor)
    stacks_of(vendor)
    workflows_of(vendor)
    partitions_of(vendor)
    pruning_of(vendor)


def _module(vendor: str, theme: str) -> ModuleType:
    if vendor not in VENDORS:
        raise NotSupportedError(f"taskq keeps its tasks in PostgreSQL or SQLite, not in {vendor}")
    return importlib.import_module(f"taskq.sql.{vendor}.{theme}")
