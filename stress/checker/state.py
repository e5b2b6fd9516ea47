"""What is left when a run is over: the half of the evidence that is not the history.

The harness fills these from the tables, the process list and the logs. It does so after the load
has ended and the pools have drained and stopped. The checker reads nothing else, so the same
verdict can be reached again from two files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Kind:
    """What a kind of task does by intention. A task without a kind is harmless.

    atomic: it writes one effect for its key, in the transaction that ends it.
    poison: it kills its worker each time. A regular expression that the recorded
        cause must match: "SIGSEGV", "exit code 7", "out of memory", "time limit".
    fails: it always raises. A regular expression that the recorded error must match.
    once: sent with ``on_lost="fail"``: it must not be started twice.
    deadly: a run of it may end its worker (poison always does).
    unique: its calls are in groups, and join a task of their group that waits ("start"), or
        that waits or runs ("finish").
    keeps: it returns its key and attempt, and that is kept as its result.
    keep_finished: it is kept among the finished tasks, with what it returns if that is its result.
    mended: it fails until a person has retried it.
    replaced: a workflow takes its place. Its run ends with the statement that writes that.
    """

    name: str
    atomic: bool = False
    poison: str = ""
    fails: str = ""
    once: bool = False
    deadly: bool = False
    unique: Literal["", "start", "finish"] = ""
    keeps: bool = False
    keep_finished: bool = False
    mended: bool = False
    replaced: bool = False

    @property
    def kills(self) -> bool:
        return self.deadly or bool(self.poison)


@dataclass(frozen=True)
class TaskRow:
    """A row that is still in the task table. state: READY, RUNNING, FAILED or BLOCKED.

    cancelled: it was asked to end while it ran.
    scheduled_at: the tick that a schedule sent it for, in seconds since 1970.
    waits_for: of a step: the keys of the parts whose end it does not know yet. A part that has
        failed is among them only if the step waits for it to be done.
    """

    key: str
    state: str
    name: str = ""
    kind: str = ""
    losses: int = 0
    max_losses: int = 3
    error: str = ""
    cancelled: bool = False
    scheduled_at: int | None = None
    waits_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResultRow:
    """The result of a task that is no longer in the task table: its return value, decoded."""

    key: str
    value: Any


@dataclass(frozen=True)
class FinishedRow:
    """A row among the finished tasks that are kept. attempt: the run that finished. value: what it
    returned, decoded, if that is its result."""

    key: str
    attempt: int
    value: Any = None


@dataclass(frozen=True)
class Ticks:
    """What a schedule should have sent.

    every: seconds between two ticks. last: the last sent tick by its row, in seconds since
    1970; None for none. All ticks from the first known one to the last must exist."""

    every: int
    last: int | None


@dataclass(frozen=True)
class LeftOver:
    """A process of a pool that still exists although its pool has ended."""

    pid: int
    title: str


@dataclass(frozen=True)
class FinalState:
    """What was found when the load had ended and the pools had stopped.

    tasks: every row of the task table that came from the load.
    entries: keys whose row the enqueuer wrote beside its task, in the same transaction. If the row
        exists, the task was committed, even if the enqueuer died before it recorded that. None if
        the load wrote no such rows. Then the commit records decide.
    effects: for each key of an atomic kind, how many effects its runs left behind.
    kinds: by name; an ``intent`` record or a task row says which kind a key is of.
    schedules: what each schedule should have sent, by the kind of its tasks.
    results: every row of the table of results that came from the load.
    finished: every row of the finished tasks that came from the load.
    left_over: processes below a pool that outlived it by more than a second.
    deadlocks: how many the database counted or logged.
    fenced: finishes that touched no row, counted in the logs of the pools.
    """

    tasks: tuple[TaskRow, ...] = ()
    entries: frozenset[str] | None = None
    effects: Mapping[str, int] = field(default_factory=dict)
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    schedules: Mapping[str, Ticks] = field(default_factory=dict)
    results: tuple[ResultRow, ...] = ()
    finished: tuple[FinishedRow, ...] = ()
    left_over: tuple[LeftOver, ...] = ()
    deadlocks: int = 0
    fenced: int = 0


@dataclass(frozen=True)
class Limits:
    """What counts as in time, in seconds.

    lease: of the pools in the run. For so long after an outage, runs may still be stopped and their
        tasks reclaimed because of it.
    tick: the longest that a woken supervisor may take to stop its workers.
    slack: what a busy machine may add to that.
    reconnect: the longest that a pool may take from the moment at which a server is up again to its
        first renewal.
    unwritten: the longest time between the end of a run in the history and its outcome in the
        table. If a worker dies in that time, the run must be repeated.
    """

    lease: float = 30.0
    tick: float = 0.25
    slack: float = 0.25
    reconnect: float = 2.0
    unwritten: float = 1.0
