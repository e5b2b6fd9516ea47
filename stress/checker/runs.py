"""Runs: from a start to an end of any kind, and how long each is proven to go on.

A process runs one task at a time. A run ends with its ``end`` or ``raised``
record, or with the death of its process. If the process that killed it, or a
watcher, recorded the death, the run is ``killed``. If no record shows how it
ended, it is ``open``.

For every run two moments matter:

seen    the last one at which it is *proven* to be going on: its own last record,
        or the last time that its process was known to be alive.
over    the first one at which it is proven to be *over*: its end, the record of
        its process's death, or the next start in its process. NEVER if there is
        no such proof.

Between the two it may have gone on or not. A record of the run itself counts
more than the record of a death: a run that noted its end after a record of its
death did end at that later moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from stress.checker.records import NEVER, Record, Span, in_order


@dataclass(frozen=True)
class Death:
    """A process died. alive: the last moment at which it was known to be alive."""

    victim: int
    role: str
    cause: str
    alive: int
    at: int
    injected: bool  # another process killed it
    with_it: frozenset[int]

    @property
    def takes_children(self) -> bool:
        return self.role in ("supervisor", "pool")


@dataclass
class Run:
    """One run of a task. how: end, raised, killed or open.

    losses, attempt: as the run was told. None if its record does not have them.
    scheduled_at: the tick that a schedule sent its task for.
    moved_on: it is open, but its process went on to another run.
    error: the class of what it raised.
    got: the inputs of a step, as it has noted them.
    """

    key: str
    pid: int
    parent: int
    began: int
    losses: int | None = None
    attempt: int | None = None
    scheduled_at: int | None = None
    seen: int = 0
    over: float = NEVER
    how: str = "open"
    moved_on: bool = False
    death: Death | None = None
    error: str = ""
    got: list[Any] | None = None

    @property
    def cut_off(self) -> bool:
        """Whether it ended with an error of its connection. A pool counts it as interrupted."""
        return self.error in ("OperationalError", "InterfaceError")

    @property
    def returned(self) -> bool:
        return self.how == "end"

    @property
    def died(self) -> bool:
        """Whether its process died with it, as far as the records show."""
        return self.how == "killed" or (self.how == "open" and not self.moved_on)

    def until(self, moment: float) -> Span:
        return Span(self.began, max(self.began, moment))


def runs(records: Iterable[Record]) -> list[Run]:
    """The runs in a history, in order of their beginning."""
    reader = _Reader()
    for record in in_order(records):
        reader.read(record)
    return reader.found


def deaths(records: Iterable[Record]) -> list[Death]:
    """The deaths in a history, in order."""
    return [death_of(each) for each in in_order(records) if each["kind"] in ("death", "kill")]


def death_of(record: Record) -> Death:
    """Raises KeyError for a record that names no victim."""
    at, victim, cause = int(record["at"]), int(record["victim"]), str(record.get("cause", "kill"))
    return Death(
        victim=victim,
        role=str(record.get("role", "worker")),
        cause=cause,
        alive=int(record.get("since", at)),
        at=at,
        # A death that the process announced itself, or that a watcher only saw, is not injected.
        injected=record["pid"] != victim and cause != "seen",
        with_it=frozenset(record.get("victims", ())),
    )


class _Reader:
    def __init__(self) -> None:
        self.found: list[Run] = []
        self._last: dict[int, Run] = {}  # by process
        self._children: dict[int, set[int]] = defaultdict(set)

    def read(self, record: Record) -> None:
        kind, pid, at = record["kind"], int(record["pid"]), int(record["at"])
        if kind == "start":
            self._start(record, pid, at)
        elif kind in ("tick", "end", "raised"):
            run = self._last.get(pid)
            # None: the task forked, and the child returned through the code of the task.
            if run is not None and run.key == str(record["key"]):
                run.seen = at
                if kind != "tick":
                    run.how, run.over, run.moved_on = kind, at, False
                    run.error = str(record.get("error", ""))
        elif kind in ("death", "kill"):
            self._bury(death_of(record))

    def _start(self, record: Record, pid: int, at: int) -> None:
        parent = int(record.get("parent", 0))
        before = self._last.get(pid)
        if before is not None and before.how == "open":
            before.over = at
            # Another pool's process with the same number is another process.
            before.moved_on = before.parent == parent
        losses, attempt = record.get("losses"), record.get("attempt")
        run = Run(str(record["key"]), pid, parent, at, losses=losses, attempt=attempt, seen=at)
        run.scheduled_at = record.get("scheduled_at")
        run.got = record.get("got")
        self._last[pid] = run
        self._children[parent].add(pid)
        self.found.append(run)

    def _bury(self, death: Death) -> None:
        named = {death.victim, *death.with_it}
        # A child that is not named may have died before, though no record shows it. Its pid may
        # be that of another pool's child by now.
        unnamed = {
            pid
            for pid in (self._children[death.victim] if death.takes_children else ())
            if self._last[pid].parent == death.victim
        }
        for pid in (named | unnamed) & self._last.keys():
            run = self._last[pid]
            if run.how == "open":
                run.how, run.over, run.death = "killed", death.at, death
                if pid in named:
                    run.seen = max(run.seen, min(death.alive, death.at))
            elif (
                run.death is not None
                and death.injected
                and not run.death.injected
                and death.alive <= run.over
            ):
                # A watcher recorded the death before the process that caused it did.
                run.death = death
