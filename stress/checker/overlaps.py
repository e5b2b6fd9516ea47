"""Overlaps: two runs of one task that went on at the same time.

The rule, from the strongest evidence to the weakest:

1. Both are *proven* to be going on at one moment: a run is proven from its start to
   ``seen`` (see ``runs``), except while its process was frozen. That is an overlap for
   as long as both are proven, whatever else is known.
2. The earlier one has no end, no record tells of its process's death, and the later
   one started before that process did anything else. If a blow had hit the process before
   the later start, or the task is of a kind that kills its worker, the process counts as
   dead, though nobody saw it: no overlap. If nothing had hit it, there was no reason to
   start the task again. That is an overlap too, *presumed*: its length is not known.
3. Otherwise there is no overlap. A run whose process was killed is over when the death was
   recorded. Between the last sign of life and that record it is not proven to go on.

Two overlaps are allowed (docs/guarantees.md), and are counted separately. One is of G4: a machine
that is frozen as a whole cannot stop its runs. Its run may be frozen together with the supervisor,
and its task may be reclaimed meanwhile. After the thaw it may go on for a tick of the supervisor.
The other overlap ends with the first renewal after a failover that took commits back, and a tick of
the supervisor. If that one was stopped alone meanwhile, the tick comes when it wakes: see
``failovers``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stress.checker.evidence import Evidence
from stress.checker.records import Span
from stress.checker.result import Finding
from stress.checker.runs import Run


@dataclass(frozen=True)
class Overlap:
    """Two runs at one time, of one task or of two tasks that exclude each other. seconds: as far as
    it is proven. None if it is presumed."""

    first: Run
    second: Run
    seconds: float | None
    allowed: bool = False

    def finding(self) -> Finding:
        first, second = self.first, self.second
        if first.key != second.key:
            text = f"{first.key} and {second.key} of one group ran at once for {self.seconds:.3f} s"
            return Finding(text, (first.key, second.key))
        if self.seconds is None:
            what = "was started again although nothing is known to have ended its first run"
        else:
            what = f"ran twice at once for {self.seconds:.3f} s"
        text = f"{first.key} {what}: in process {first.pid} ({first.how})"
        return Finding(f"{text} and in process {second.pid} ({second.how})", (first.key,))


def overlaps(evidence: Evidence) -> list[Overlap]:
    """All of them, the allowed ones too."""
    return [
        overlap
        for key in sorted(evidence.by_key)
        for first, second in _pairs(evidence.of(key))
        if (overlap := _overlap(evidence, first, second)) is not None
    ]


def _pairs(runs: list[Run]) -> Iterator[tuple[Run, Run]]:
    """Each run with each later one of another process."""
    for number, second in enumerate(runs):
        for first in runs[:number]:
            if first.pid != second.pid:
                yield first, second


def _overlap(evidence: Evidence, first: Run, second: Run) -> Overlap | None:
    if proven := proven_overlap(evidence, first, second):
        return proven
    if (
        first.how == "open"
        and first.over > second.began
        and not evidence.kind(first.key).kills
        and not evidence.causes(first, until=second.began)
    ):
        return Overlap(first, second, None)
    return None


def proven_overlap(evidence: Evidence, first: Run, second: Run) -> Overlap | None:
    """Rule 1, for any two runs that must not go on at once."""
    both = [
        common
        for one in _proven(evidence, first)
        for other in _proven(evidence, second)
        if (common := one.common(other)) is not None
    ]
    if not both:
        return None
    total = sum(span.seconds for span in both)
    allowed = all(
        _woken(evidence, first, span) or _failed_over(evidence, first, second, span)
        for span in both
    )
    return Overlap(first, second, total, allowed)


def _proven(evidence: Evidence, run: Run) -> list[Span]:
    frozen = evidence.blows.frozen(run.pid)
    return run.until(run.seen).without(freeze.span for freeze in frozen)


def _failed_over(evidence: Evidence, first: Run, second: Run, span: Span) -> bool:
    """Whether a pool could not know yet that the database had gone back to an older state, or its
    supervisor was stopped and could not act on it."""
    blows = [blow for run in (first, second) for blow in evidence.blows.on(run, span)]
    return evidence.failovers.allow(span, blows) or any(
        evidence.failovers.allow_asleep(span, run, freeze.span)
        for run in (first, second)
        for freeze in evidence.blows.frozen(run.parent)
    )


def _woken(evidence: Evidence, run: Run, span: Span) -> bool:
    """Whether the process went on because it was woken together with its supervisor, and for no
    longer than allowed."""
    allowed = evidence.limits.tick + evidence.limits.slack
    return any(
        run.parent in freeze.victims
        and run.began < freeze.span.began
        and freeze.span.ended <= span.began
        and span.ended <= Span(0, freeze.span.ended).longer(allowed).ended
        for freeze in evidence.blows.frozen(run.pid)
    )
