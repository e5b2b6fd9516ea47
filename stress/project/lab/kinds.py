"""The kinds of task in the load of chaos, and the right outcome of each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal


class End(Enum):
    """How a task of a kind must end if nothing but its own fault disturbs it."""

    DONE = "done"
    FAILS = "fails"  # it raises, and is kept as failed without a loss
    DIES = "dies"  # each run kills its worker, and it fails with the cause after max_losses


@dataclass(frozen=True)
class Kind:
    """A kind of task.

    task: the function's name in ``stress.project.lab.tasks``, or in another module of the lab.
    args: after the key.
    cause: a regular expression that ``error`` of the row matches, unless it ends done.
    atomic: it writes one ``Effect``. once: ``on_lost="fail"``, started at most once.
    cancelled: the load cancels it sooner or later.
    unique: calls of a group join each other until the start or the finish of the task.
        The group is the argument after the key.
    keeps: its result is kept, which is its key and the attempt that returned.
    keep_finished: it is kept among the finished tasks.
    mended: it fails until a person has retried it.
    replaced: a workflow takes its place.
    """

    name: str
    task: str
    args: tuple[Any, ...] = ()
    end: End = End.DONE
    cause: str = ""
    atomic: bool = False
    once: bool = False
    cancelled: bool = False
    unique: Literal["", "start", "finish"] = ""
    keeps: bool = False
    keep_finished: bool = False
    mended: bool = False
    replaced: bool = False
    module: str = "tasks"

    @property
    def task_name(self) -> str:
        """The name in the row of a task."""
        return f"stress.project.lab.{self.module}.{self.task}"

    @property
    def poison(self) -> bool:
        return self.end is End.DIES


_DEATHS = {
    "exit": "exit code 7",
    "segfault": "SIGSEGV",
    "abort": "SIGABRT",
    "kill": "SIGKILL",
    "stack": "SIGSEGV",
}
_SURVIVED = (
    "close break open handlers native mask timer limit fork child program stdout chdir".split()
)
_RAISED = {
    "exit": "SystemExit",
    "interrupt": "KeyboardInterrupt",
    "recurse": "RecursionError",
    "huge": "Flaw: xxx",
    "text": "Flaw: nul",
    "unprintable": "Unprintable",
}

_ALL = [
    Kind("fast", "fast"),
    Kind("slow", "slow", (0.3,)),
    Kind("slower", "slow", (1.5,)),
    Kind("once", "once", (0.2,), once=True),
    Kind("flaky", "flaky", (2,)),
    # It never finishes, so none of it is kept.
    Kind("failing", "failing", end=End.FAILS, cause="Flaw: on purpose", keep_finished=True),
    Kind("atomic", "atomic", (0.1,), atomic=True),
    Kind("kept", "kept", (0.05, 1), keeps=True),
    Kind("kept-atomic", "kept_atomic", (0.1,), atomic=True, keeps=True),
    Kind("archived", "archived", (0.05, 1), keep_finished=True),
    Kind("archived-atomic", "archived_atomic", (0.1,), atomic=True, keep_finished=True),
    Kind("archived-kept", "archived_kept", (0.05,), keeps=True, keep_finished=True),
    Kind("gil", "gil", (13,)),
    Kind("leak", "leak", (24,)),
    Kind("mate", "mate"),
    Kind("tick", "clockwork"),
    Kind("joined", "joined", unique="start"),
    Kind("solo", "solo", unique="finish"),
    Kind("newcomer", "newcomer"),
    Kind("cancelled", "long", (2.0, False), cancelled=True),
    Kind("cancelled-stubborn", "long", (3.0, True), cancelled=True),
    Kind("cancelled-mate", "mate", cancelled=True),
    Kind("cancelled-archived", "archived", (0.3, 0), cancelled=True, keep_finished=True),
    Kind("hungry", "hungry", (4096,), end=End.DIES, cause="out of memory"),
    # Where RLIMIT_AS limits the memory instead of a cgroup, Python raises by itself.
    Kind("starved", "hungry", (4096,), end=End.FAILS, cause="MemoryError"),
    Kind("warned", "warned", end=End.FAILS, cause="SoftTimeLimitExceeded"),
    Kind("hang", "hang", (False,), end=End.DIES, cause="time limit passed"),
    Kind("hang-masked", "hang", (True,), end=End.DIES, cause="time limit passed"),
    # A row typed by hand that no worker can run.
    Kind("bad", "fast", end=End.FAILS, cause="."),
    # Steps of workflows.
    Kind("step", "step", module="steps"),
    Kind("step-slow", "slow", module="steps"),
    Kind("step-long", "long", module="steps"),
    Kind("step-atomic", "atomic", atomic=True, module="steps"),
    Kind("step-kept", "kept", keeps=True, module="steps"),
    Kind("step-archived", "archived", keep_finished=True, module="steps"),
    Kind("step-flaky", "flaky", module="steps"),
    Kind("step-broken", "broken", end=End.FAILS, cause="Flaw: broken", module="steps"),
    Kind("step-mended", "mended", end=End.FAILS, cause="Flaw: mend", mended=True, module="steps"),
    Kind("step-growing", "growing", replaced=True, module="steps"),
    Kind("step-last", "last", module="steps"),
]
_ALL += [
    Kind(f"poison-{how}", "poison", (how,), end=End.DIES, cause=cause)
    for how, cause in _DEATHS.items()
]
_ALL += [
    Kind(f"killer-mate-{how}", "mate", (how,), end=End.DIES, cause=cause)
    for how, cause in _DEATHS.items()
]
_ALL += [Kind(f"misbehave-{how}", "misbehave", (how,)) for how in _SURVIVED]
_ALL += [
    Kind(f"misbehave-{how}", "misbehave", (how,), end=End.FAILS, cause=cause)
    for how, cause in _RAISED.items()
]

KINDS = {kind.name: kind for kind in _ALL}


def kind_of(key: str) -> Kind:
    """The kind of a task by its key, which begins with the name: ``poison-exit.3.17``.

    Raises KeyError for a key that no enqueuer of chaos wrote.
    """
    return KINDS[key.partition(".")[0]]


def tick_key(tick: int, pk: int) -> str:
    """The key of a task that a schedule sent.

    tick: in seconds since 1970. pk: of its row, so that two tasks for one tick differ."""
    return f"tick.{tick}.{pk}"
