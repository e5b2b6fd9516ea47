"""What the checker found, for people and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Every way in which a run can be bad, in the order in which they are shown.
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
    "uncancelled",
    "stuck",
    "lost_ticks",
    "double_ticks",
    "orphans",
    "bad_exits",
    "deadlocks",
)

#: Findings of one name that the JSON spells out; the counts are always whole.
SPELLED_OUT = 20


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, in words, and the tasks that it is about."""

    text: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recovery:
    """How long it took, in seconds, from deaths of one kind to the next start."""

    median: float
    p99: float
    max: float
    n: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Recovery | None:
        """None when there is nothing to sum up."""
        if not seconds:
            return None
        ordered = sorted(seconds)
        p99 = ordered[int(len(ordered) * 0.99)]
        return cls(statistics.median(ordered), p99, ordered[-1], len(ordered))

    def as_json(self) -> dict[str, float | int]:
        return {
            "median": round(self.median, 4),
            "p99": round(self.p99, 4),
            "max": round(self.max, 4),
            "n": self.n,
        }


@dataclass(frozen=True)
class Verdict:
    """The verdict on one run.

    violations: name -> findings; each name of VIOLATIONS is there.
    recovery_s: "worker" and "pool": from a death to the next start of what ran, where
        nothing else was broken meanwhile; "worker_disturbed" and "pool_disturbed": where
        something was. None where there was no such death.
    duplicates: cause -> second runs to the end that it explains.
    allowed_overlaps: of machines that were frozen as a whole and woke, and of pools that could not
        know yet that the database had gone back (docs/guarantees.md).
    counts: committed, rolled_back, undetermined (enqueuers killed before they could say),
        taken_back (a failover may have), runs, ended, raised, killed, open (nobody saw how they
        ended), unexplained_deaths (runs whose process died though nobody did anything to it: a
        lease that a pool lost by itself), fenced_finishes, done (tasks of which a run returned).
    """

    violations: Mapping[str, Sequence[Finding]]
    recovery_s: Mapping[str, Recovery | None] = field(default_factory=dict)
    duplicates: Mapping[str, int] = field(default_factory=dict)
    allowed_overlaps: Sequence[Finding] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def run_again(self) -> float:
        """Second runs to the end, per task that is done."""
        done = self.counts.get("done", 0)
        return sum(self.duplicates.values()) / done if done else 0.0

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
            "duplicates": dict(self.duplicates),
            "run_again": round(self.run_again, 6),
            "allowed_overlaps": [each.text for each in self.allowed_overlaps],
            "counts": dict(self.counts),
            "findings": {
                name: [each.text for each in found[:SPELLED_OUT]]
                for name, found in self.violations.items()
                if found
            },
        }
