"""G8: who was charged for a loss, and what became of the tasks that cause them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pool.clock import SECOND
from stress.checker.blows import Blow
from stress.checker.evidence import Evidence
from stress.checker.records import NEVER, Span
from stress.checker.result import Finding
from stress.checker.runs import Run
from stress.checker.state import TaskRow

#: What a pool writes as the error of a task that was failed because of losses.
LOSS = re.compile(
    r"exit code -?\d+$|killed by \w+|out of memory \(|time limit passed|lease ran out"
    r"|no longer responsive|stopped while at work|interrupted, as a connection"
)

#: The causes that are one signal, told apart by a counter of the kernel's.
SIGKILLS = {"SIGKILL", "out of memory"}
#: Seconds between two deaths, or a death and its writing, that count as close.
CLOSE = 1.0


@dataclass(frozen=True)
class Charge:
    """A task's losses went up, at some time in the span."""

    key: str
    span: Span
    losses: int


def innocents_charged(evidence: Evidence) -> list[Finding]:
    """Tasks that were charged with more losses than they had part in.

    A charge is earned by a run of the task, begun in the time of the charge, that went
    down with its process or whose process was hit before its outcome was written. It
    may also be due to the moment between a claim and the start record, of which the
    history knows nothing: so each process that was hit while it ran nothing may have
    one charge. One that ran something may not: who waited behind that is innocent.
    """
    found = []
    between_runs = _hit_between_runs(evidence)
    charges = [charge for key in _charged(evidence) for charge in _charges(evidence, key)]
    for charge in sorted(charges, key=lambda charge: charge.span.ended):
        earned = sum(_went_down(evidence, run) for run in _begun(evidence, charge))
        for _ in range(charge.losses - earned):
            if not _take(between_runs, charge):
                text = f"{charge.key} was charged {charge.losses} losses, and had part in {earned}"
                found.append(Finding(text, (charge.key,)))
                break
    return found


def poison_unquarantined(evidence: Evidence) -> list[Finding]:
    """Poison that is not failed, that has the wrong cause, or that ran too often."""
    found = []
    for key in sorted(evidence.sent.committed):
        kind = evidence.kind(key)
        if not kind.poison:
            continue
        row = evidence.rows.get(key)
        runs = evidence.of(key)
        # Runs that we broke off ourselves may be free of charge, and name our own deed;
        # those that nobody saw die are free as well, where others waited behind them.
        broken_off = sum(bool(evidence.injected(run)) or _unseen(evidence, run) for run in runs)
        if row is None or row.state != "FAILED":
            where = "is not in the table" if row is None else f"is {row.state}"
            found.append(Finding(f"{key} is poison ({kind.name}), and {where}", (key,)))
        elif not re.search(kind.poison, row.error) and not (
            broken_off
            # A loss between the claim and the start has the cause of what hit the process then.
            or row.losses > len(runs)
            or any(_mistaken(evidence, run, row.error) for run in runs)
        ):
            text = f"{key} was failed with {row.error!r}, where {kind.poison!r} is the cause"
            found.append(Finding(text, (key,)))
        allowed = (row.max_losses if row is not None else 3) + broken_off
        if len(runs) > max(1, allowed):
            text = f"{key} is poison ({kind.name}), and ran {len(runs)} times of {allowed} allowed"
            found.append(Finding(text, (key,)))
    return found


def _unseen(evidence: Evidence, run: Run) -> bool:
    """Whether its pool was frozen as it died, or before it could write what it had seen,
    so that only its lease could tell."""
    died = Span(run.over, run.over).longer(CLOSE)
    return run.died and any(freeze.span.meets(died) for freeze in evidence.blows.frozen(run.parent))


def _mistaken(evidence: Evidence, run: Run, error: str) -> bool:
    """Whether the run and another of its pool died close together, one killed by the kernel
    for want of memory and the other by SIGKILL, and the error is the other's.

    The kernel counts those that it kills, and does not name them. Of a process that somebody
    killed from outside, the history does not say whose child it was: any may be the other.
    """
    causes = {evidence.kind(run.key).poison}
    around = Span(run.over - CLOSE * SECOND, run.over).longer(CLOSE)
    for other in evidence.runs:
        if other.parent == run.parent and other.died and around.meets(Span(other.over, other.over)):
            causes.add(evidence.kind(other.key).poison)
    for blow in evidence.blows.all:
        if blow.death is not None and blow.injected and blow.span.meets(around):
            causes.add("SIGKILL")
    return causes >= SIGKILLS and any(cause in error for cause in SIGKILLS)


def wrong_outcome(evidence: Evidence) -> list[Finding]:
    """Tasks that did not end as their kind does: failed without a fault of theirs, done
    although they always raise, or run twice although they must not be repeated."""
    found = []
    for key in sorted(evidence.sent.committed):
        kind, row, runs = evidence.kind(key), evidence.rows.get(key), evidence.of(key)
        if kind.once and sum(not evidence.failovers.touched(run) for run in runs) > 1:
            text = f"{key} must not be repeated, and was started {len(runs)} times"
            found.append(Finding(text, (key,)))
        if kind.poison or any(evidence.injected(run) for run in runs):
            continue
        if row is not None and row.cancelled:
            continue
        failed = row is not None and row.state == "FAILED" and not LOSS.match(row.error)
        error = row.error if row is not None else ""
        if kind.fails and row is None and evidence.ended(key):
            found.append(Finding(f"{key} always fails, and is done", (key,)))
        elif failed and kind.fails and not re.search(kind.fails, error):
            text = f"{key} failed with {error!r}, where {kind.fails!r} is the cause"
            found.append(Finding(text, (key,)))
        elif failed and not kind.fails:
            found.append(Finding(f"{key} failed with {error!r}, for no reason known", (key,)))
    return found


def unexplained_deaths(evidence: Evidence) -> list[Run]:
    """Runs that went down with their process though nobody did anything to it: leases
    that a pool lost by itself, on a machine that is too busy."""
    return [
        run
        for run in evidence.runs
        if run.died
        and not evidence.kind(run.key).kills
        and not any(blow.injected for blow in evidence.causes(run))
    ]


def _charged(evidence: Evidence) -> list[str]:
    told = {run.key for run in evidence.runs if run.losses}
    kept = {row.key for row in evidence.state.tasks if _losses(row)}
    return sorted(told | kept)


def _losses(row: TaskRow) -> int:
    """At least one where the error says so: with no losses allowed none is counted."""
    return max(row.losses, int(row.state == "FAILED" and bool(LOSS.match(row.error))))


def _charges(evidence: Evidence, key: str) -> Iterator[Charge]:
    """The known losses of a task, as they went up: as its runs were told, then its row."""
    before, since = 0, 0.0
    known = [(float(run.began), run.losses) for run in evidence.of(key) if run.losses is not None]
    row = evidence.rows.get(key)
    if row is not None:
        known.append((NEVER, _losses(row)))
    for moment, losses in known:
        if losses > before:
            yield Charge(key, Span(since, moment), losses - before)
        before, since = losses, moment


def _begun(evidence: Evidence, charge: Charge) -> list[Run]:
    """The task's runs that the charge may be for."""
    return [
        run for run in evidence.of(charge.key) if charge.span.began <= run.began < charge.span.ended
    ]


def _went_down(evidence: Evidence, run: Run) -> bool:
    return run.died or run.cut_off or bool(evidence.causes(run))


@dataclass
class _Allowance:
    """So many charges may be due to processes that a blow hit while they ran nothing."""

    span: Span
    left: float


def _hit_between_runs(evidence: Evidence) -> list[_Allowance]:
    found = []
    for blow in evidence.blows.all:
        if blow.slows or not blow.injected:
            continue
        if blow.death is not None and blow.death.role == "keeper":
            continue
        if blow.victims is None:
            found.append(_Allowance(blow.span, math.inf))
            continue
        workers = blow.victims
        if blow.death is not None and blow.death.takes_children:
            workers = blow.death.with_it - {blow.death.victim} or workers
        if resting := sum(not _at_work(evidence, pid, blow) for pid in workers):
            found.append(_Allowance(blow.span, resting))
    return found


def _at_work(evidence: Evidence, pid: int, blow: Blow) -> bool:
    death = blow.death
    moment = Span(blow.span.began, death.at if death is not None else blow.span.began)
    return any(run.until(run.over).meets(moment) for run in evidence.in_process(pid))


def _take(between_runs: list[_Allowance], charge: Charge) -> bool:
    for allowance in between_runs:
        if allowance.left and allowance.span.meets(charge.span):
            allowance.left -= 1
            return True
    return False
