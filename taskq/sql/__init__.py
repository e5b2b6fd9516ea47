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
    ReplaceStatements,
    ScheduleStatements,
    StackStatements,
    Statements,
    WorkflowStatements,
)

VENDORS = ("postgresql", "sqlite")

#: The texts of a wake-up: there is work, a running task was cancelled, somebody asks for a stack.
WORK, CANCEL, STACK = "", "cancel", "stack"


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
        self,
        wrapper: BaseDatabaseWrapper,
        *,
        direct: bool,
        turn: Turn | None = None,
        lock_wait: float | None = None,
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
        self, settings: dict[str, Any], lease: float, name: str
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


@functools.cache
def replacing_of(vendor: str) -> ReplaceStatements:
    """The statements that replace a running task by steps, and that add a part beside it."""
    return cast(ReplaceStatements, _module(vendor, "replacing"))


def load(vendor: str) -> None:
    """Import all SQL modules that a pool's processes need, before the fork."""
    for each in (of, claims_of, driver_of, django_connection_of, enqueue_of, leases_of):
        each(vendor)
    for other in (losses_of, stacks_of, workflows_of, replacing_of, partitions_of, pruning_of):
        other(vendor)


def _module(vendor: str, theme: str) -> ModuleType:
    if vendor not in VENDORS:
        raise NotSupportedError(f"taskq keeps its tasks in PostgreSQL or SQLite, not in {vendor}")
    return importlib.import_module(f"taskq.sql.{vendor}.{theme}")
