"""What a history proves: pure functions from records to findings.

A run is the time from its "start" to its "end" or "raised", or to the death of
its process. Keys name tasks; a task's key is the same in each of its runs.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pool.clock import SECOND

Record = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One run of a task. ``how``: end, raised, killed, or open (no record of its end)."""

    key: str
    pid: int
    began: int
    ended: int
    how: str


@dataclass(frozen=True)
class Overlap:
    """Two runs of one task at the same time, and for how many seconds."""

    key: str
    first: Run
    second: Run

    @property
    def seconds(self) -> float:
        return (min(self.first.ended, self.second.ended) - self.second.began) / SECOND


def runs(records: Iterable[Record]) -> list[Run]:
    """The runs in a history, in order of their beginning."""
    found: list[Run] = []
    open_runs: dict[tuple[int, str], int] = {}
    last = 0
    for record in sorted(records, key=lambda each: int(each["at"])):
        kind, pid, at = record["kind"], record["pid"], record["at"]
        last = max(last, at)
        if kind == "start":
            open_runs[pid, str(record["key"])] = at
        elif kind in ("end", "raised"):
            key = str(record["key"])
            began = open_runs.pop((pid, key))
            found.append(Run(key, pid, began, at, kind))
        elif kind == "kill":
            victim = record["victim"]
            for of, key in [each for each in open_runs if each[0] == victim]:
                found.append(Run(key, of, open_runs.pop((of, key)), at, "killed"))
    found += [Run(key, pid, began, last, "open") for (pid, key), began in open_runs.items()]
    return sorted(found, key=lambda run: run.began)


def lost(committed: Iterable[str], all_runs: Iterable[Run], kept: Iterable[str]) -> set[str]:
    """Committed tasks that neither ended nor are still in the table."""
    ended = {run.key for run in all_runs if run.how == "end"}
    return set(committed) - ended - set(kept)


def ghosts(rolled_back: Iterable[str], all_runs: Iterable[Run]) -> set[str]:
    """Tasks that ran although the transaction that sent them was rolled back."""
    return set(rolled_back) & {run.key for run in all_runs}


def overlaps(all_runs: Iterable[Run]) -> list[Overlap]:
    """Runs of one task that began while an earlier one was still going on."""
    found = []
    by_key: dict[str, list[Run]] = defaultdict(list)
    for run in all_runs:
        earlier = by_key[run.key]
        found += [Overlap(run.key, other, run) for other in earlier if run.began < other.ended]
        earlier.append(run)
    return found


def recoveries(all_runs: Iterable[Run]) -> list[float]:
    """For each killed run, the seconds until the task was started again."""
    ordered = list(all_runs)
    found = []
    for run in ordered:
        if run.how == "killed":
            again = [
                other.began for other in ordered if other.key == run.key and other.began > run.ended
            ]
            if again:
                found.append((min(again) - run.ended) / SECOND)
    return found


def median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None
