"""What the checker found, for people and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: All violations, in the order in which the report shows them.
VIOLATIONS = (
    "lost",
    "ghosts",
    "overlaps",
    "missed_calls",
    "unexplained_duplicates",
    "forgotten_finishes",
    "unfenced_finishes",
    "atomic_mismatch",
    "innocents_charged",
    "innocents_failed",
    "poison_unquarantined",
    "wrong_outcome",
    "wrong_results",
    "wrong_finished",
    "uncancelled",
    "stuck",
    "standstills",
    "early_releases",
    "double_releases",
    "wrong_inputs",
    "wrong_errbacks",
    "lost_ticks",
    "double_ticks",
    "counters_wrong",
    "orphans",
    "bad_exits",
    "deadlocks",
)

#: The cause if nothing else has hit a run.
ONLY_WORKER = "only its worker died"
#: The most findings of one name that the JSON spells out. The counts are always complete.
SPELLED_OUT = 20


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, in words, and the tasks that it is about."""

    text: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recovery:
    """How long it took, in seconds, from deaths of one kind to the next start.

    A task keeps its place in the queue, so it may have to wait for older ones to start.
    standstill: the longest time within one recovery in which none of those started either.
    """

    median: float
    p99: float
    max: float
    n: int
    standstill: float

    @classmethod
    def of(cls, seconds: Sequence[float], standstill: float) -> Recovery | None:
        """The summary. None if there are no values."""
        if not seconds:
            return None
        ordered = sorted(seconds)
        p99 = ordered[int(len(ordered) * 0.99)]
        return cls(statistics.median(ordered), p99, ordered[-1], len(ordered), standstill)

    def as_json(self) -> dict[str, float | int]:
        return {
            "median": round(self.median, 4),
            "p99": round(self.p99, 4),
            "max": round(self.max, 4),
            "n": self.n,
            "standstill": round(self.standstill, 4),
        }


@dataclass(frozen=True)
class RunAgain:
    """Runs after which their task was run again, by what had hit them (see ``again``).

    done: tasks of which a run ended. ended: the run had ended. cut: it was cut off in the middle.
    Both have ``ONLY_WORKER``, be it with 0.
    """

    done: int
    ended: Mapping[str, int]
    cut: Mapping[str, int]

    def per_10_000(self, runs: int) -> float:
        """So many runs, for each 10,000 tasks that are done."""
        return runs * 10_000 / self.done if self.done else 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "done": self.done,
            "ended": dict(self.ended),
            "cut": dict(self.cut),
            "ended_per_10000": {
                cause: round(self.per_10_000(n), 2) for cause, n in self.ended.items()
            },
        }


@dataclass(frozen=True)
class Verdict:
    """The verdict on one run.

    violations: name -> findings; each name of VIOLATIONS is there.
    recovery_s: from a death to the next start of the task that ran. "worker" and "pool": nothing
        else was broken meanwhile. "worker_disturbed" and "pool_disturbed": something was. None if
        there was no such death.
    run_again: the runs that were repeated, and why.
    allowed_overlaps: of machines that were frozen as a whole and woke, and of pools that could not
        know yet that the database had gone back, or whose supervisor was stopped then
        (docs/guarantees.md).
    counts: committed, rolled_back, undetermined (an enqueuer was killed before it wrote the
        outcome), taken_back (by a failover, perhaps), runs, ended, raised, killed, open (no record
        shows how they ended), unexplained_deaths (runs whose process died though nothing had hit
        it: a lease that a pool lost by itself), fenced_finishes, kept_tasks (rows of finished
        tasks), steps (of workflows, which wait for others).
    """

    violations: Mapping[str, Sequence[Finding]]
    recovery_s: Mapping[str, Recovery | None]
    run_again: RunAgain
    allowed_overlaps: Sequence[Finding] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not any(self.violations.values())

    def broken(self) -> list[str]:
        """The names of the violations that were found."""
        return [name for name, findings in self.violations.items() if findings]

    def as_json(self) -> dict[str, Any]:
        """For ``--json``: what the command documents, and the findings in words."""
        return {
            "ok": self.ok,
            "violations": {name: len(found) for name, found in self.violations.items()},
            "recovery_s": {name: each and each.as_json() for name, each in self.recovery_s.items()},
            "run_again": self.run_again.as_json(),
            "allowed_overlaps": [each.text for each in self.allowed_overlaps],
            "counts": dict(self.counts),
            "findings": {
                name: [each.text for each in found[:SPELLED_OUT]]
                for name, found in self.violations.items()
                if found
            },
        }
