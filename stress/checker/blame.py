"""G8: which tasks were charged for a loss, and what became of the tasks that cause losses."""

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

#: What a pool writes as the error of a task that failed because of its losses.
LOSS = re.compile(
    r"exit code -?\d+$|killed by \w+|out of memory \(|time limit passed|lease ran out"
    r"|no longer responsive|stopped while at work|interrupted, as a connection"
)

#: Two causes with the same signal. Only a counter of the kernel tells them apart.
SIGKILLS = {"SIGKILL", "out of memory"}
#: A death and its record are close if at most so many seconds lie between them.
CLOSE = 1.0
#: The same for two deaths: one that the kernel kills for lack of memory may take a second to be
#: gone.
AT_ONCE = 2.0


@dataclass(frozen=True)
class Charge:
    """The losses of a task went up at some time in the span."""

    key: str
    span: Span
    losses: int


def innocents_charged(evidence: Evidence) -> list[Finding]:
    """Tasks that were charged more losses than they had part in.

    A run of the task earns a charge if it began in the time of the charge, and its process died
    with it or was hit before its outcome was written.

    A process may also be hit between a claim and the start record, of which the history knows
    nothing. So each process that was hit while it ran nothing allows one more charge. A process
    that ran something allows none: the tasks that waited behind that run are innocent.
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
    """Poison that has not failed, that has the wrong cause, or that ran too often."""
    found = []
    for key in sorted(evidence.sent.committed):
        kind = evidence.kind(key)
        if not kind.poison:
            continue
        row = evidence.rows.get(key)
        runs = evidence.of(key)
        # A run that the test itself broke off may be free of charge, and have the test's deed as
        # its cause. If nobody saw the death and others waited behind the run, it is free as well.
        broken_off = sum(bool(evidence.injected(run)) or _unseen(evidence, run) for run in runs)
        if row is None or row.state != "FAILED":
            where = "is not in the table" if row is None else f"is {row.state}"
            found.append(Finding(f"{key} is poison ({kind.name}), and {where}", (key,)))
        elif not re.search(kind.poison, row.error) and not (
            broken_off
            # For a loss between the claim and the start, the cause is what hit the process then.
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
    """Whether its pool was frozen when it died, or before the pool could write the death. Then only
    the end of its lease could tell."""
    died = Span(run.over, run.over).longer(CLOSE)
    return run.died and any(freeze.span.meets(died) for freeze in evidence.blows.frozen(run.parent))


def _mistaken(evidence: Evidence, run: Run, error: str) -> bool:
    """Whether the run has the error of another run of its pool that died at about the same time.

    That can happen if the kernel killed one of them for lack of memory, and the other died of
    SIGKILL. The kernel counts the processes that it kills, and does not name them. If a process was
    killed from outside, the history does not name its pool, so any such process may be the other.
    """
    causes = {evidence.kind(run.key).poison}
    around = Span(run.over - AT_ONCE * SECOND, run.over).longer(AT_ONCE)
    for other in evidence.runs:
        if other.parent == run.parent and other.died and around.meets(Span(other.over, other.over)):
            causes.add(evidence.kind(other.key).poison)
    for blow in evidence.blows.all:
        if blow.death is not None and blow.injected and blow.span.meets(around):
            causes.add("SIGKILL")
    return causes >= SIGKILLS and any(cause in error for cause in SIGKILLS)


def wrong_outcome(evidence: Evidence) -> list[Finding]:
    """Tasks that did not end as their kind must: they failed through no fault of their own, are
    done although they always raise, or ran twice although they must not be repeated."""
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
        if kind.fails and not kind.mended and row is None and evidence.ended(key):
            found.append(Finding(f"{key} always fails, and is done", (key,)))
        elif failed and kind.fails and not re.search(kind.fails, error):
            text = f"{key} failed with {error!r}, where {kind.fails!r} is the cause"
            found.append(Finding(text, (key,)))
        elif failed and not kind.fails:
            found.append(Finding(f"{key} failed with {error!r}, for no reason known", (key,)))
    return found


def unexplained_deaths(evidence: Evidence) -> list[Run]:
    """Runs that died with their process though nothing had hit it. Then the pool lost a lease by
    itself, on a machine that is too busy."""
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
    """Its losses: at least one if the error names a loss. A task that allows none counts none."""
    return max(row.losses, int(row.state == "FAILED" and bool(LOSS.match(row.error))))


def _charges(evidence: Evidence, key: str) -> Iterator[Charge]:
    """Each rise of a task's losses: as its runs were told, and then as its row has them."""
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
    """The number of charges that a blow allows: it hit so many processes that ran nothing."""

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
