"""What is left when a run is over: the half of the evidence that is not the history.

The harness fills these from the tables, the process list and the logs, after the
load has ended, the pools have drained and have been stopped. The checker reads
nothing else, so that every verdict can be given again from two files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Kind:
    """What a kind of task is meant to do; without one a task is harmless.

    atomic: it writes one effect for its key, in the transaction that ends it.
    poison: it kills its worker each time. A regular expression that the recorded
        cause must match: "SIGSEGV", "exit code 7", "out of memory", "time limit".
    fails: it always raises. A regular expression that the recorded error must match.
    once: sent with ``on_lost="fail"``: it must not be started twice.
    deadly: a run of it may end its worker (poison always does).
    unique: its calls are in groups, and join a task of their group that waits ("start"), or
        that waits or runs ("finish").
    keeps: it returns its key and attempt, and that is kept as its result.
    """

    name: str
    atomic: bool = False
    poison: str = ""
    fails: str = ""
    once: bool = False
    deadly: bool = False
    unique: Literal["", "start", "finish"] = ""
    keeps: bool = False

    @property
    def kills(self) -> bool:
        return self.deadly or bool(self.poison)


@dataclass(frozen=True)
class TaskRow:
    """A row that is still in the task table. state: READY, RUNNING or FAILED.

    cancelled: it was asked to end while it ran.
    scheduled_at: the tick that a schedule sent it for, in seconds since 1970.
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


@dataclass(frozen=True)
class ResultRow:
    """A result, of a task that is gone from the task table: what was returned, decoded."""

    key: str
    value: Any


@dataclass(frozen=True)
class Ticks:
    """What a schedule should have sent.

    every: seconds between two ticks. last: the last sent tick by its row, in seconds since
    1970; None for none. All ticks from the first known one to the last must exist."""

    every: int
    last: int | None


@dataclass(frozen=True)
class LeftOver:
    """A process of a pool that is still there although its pool has ended."""

    pid: int
    title: str


@dataclass(frozen=True)
class FinalState:
    """What was found when everything had come to rest.

    tasks: every row of the task table that came from the load.
    entries: keys whose row the enqueuer wrote beside its task, in the same transaction:
        what is there was committed, whatever the enqueuer lived to say. None when the
        load wrote no such rows: then the commit records are the truth.
    effects: for each key of an atomic kind, how many effects its runs left behind.
    kinds: by name; an ``intent`` record or a task row says which kind a key is of.
    schedules: what each schedule should have sent, by the kind of its tasks.
    results: every row of the table of results that came from the load.
    left_over: processes below a pool that outlived it by more than a second.
    deadlocks: that the database counted or logged.
    fenced: finishes that touched no row, as the pools' logs count them.
    """

    tasks: tuple[TaskRow, ...] = ()
    entries: frozenset[str] | None = None
    effects: Mapping[str, int] = field(default_factory=dict)
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    schedules: Mapping[str, Ticks] = field(default_factory=dict)
    results: tuple[ResultRow, ...] = ()
    left_over: tuple[LeftOver, ...] = ()
    deadlocks: int = 0
    fenced: int = 0


@dataclass(frozen=True)
class Limits:
    """What counts as in time, in seconds.

    lease: of the pools in the run. For so long after an outage, work may still be
        stopped and taken over because of it.
    tick: the longest that a woken supervisor may take to stop its workers.
    slack: what a busy machine may add to that.
    reconnect: the longest that a pool may take from the moment at which a server is up again to its
        first renewal.
    unwritten: the longest that a run may be over in the history and not yet in the
        table. Who dies in that time leaves a run that must be made again.
    """

    lease: float = 30.0
    tick: float = 0.25
    slack: float = 0.25
    reconnect: float = 2.0
    unwritten: float = 1.0
