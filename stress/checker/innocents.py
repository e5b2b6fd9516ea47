"""Innocent tasks that suffered: they failed because of a fault, or ran again though done."""

from __future__ import annotations

import itertools

from stress.checker.blame import LOSS
from stress.checker.blows import Blow
from stress.checker.evidence import Evidence
from stress.checker.records import Span
from stress.checker.result import Finding
from stress.checker.runs import Run


def innocents_failed(evidence: Evidence) -> list[Finding]:
    """Tasks that failed for good though their own code did not.

    A fault may have ended a run, such as a restart of the database. That run was interrupted, and
    its task must run again. Or the task failed because of losses, though nothing had hit it.
    """
    found = []
    for key in sorted(evidence.sent.committed):
        kind, row, runs = evidence.kind(key), evidence.rows.get(key), evidence.of(key)
        if row is None or row.state != "FAILED" or row.cancelled or kind.kills or kind.fails:
            continue
        hit = [blow for run in runs for blow in evidence.injected(run)]
        if LOSS.match(row.error):
            # Out of memory, the kernel chooses which process it kills.
            chosen = "out of memory" in row.error
            if runs and runs[-1].died and not hit and not chosen:
                text = f"{key} failed with {row.error!r}, and nobody had done anything to it"
                found.append(Finding(text, (key,)))
        elif hit:  # else wrong_outcome reports it: no reason is known
            text = f"{key} failed with {row.error!r}, for it was hit by: {hit[-1].name}"
            found.append(Finding(text, (key,)))
    return found


def forgotten_finishes(evidence: Evidence) -> list[Finding]:
    """Tasks that were done and ran again because their worker died, though its pool lived on.

    This counts only runs after which the worker began another one. By then it had noted the first
    one where its pool reads it. The last run may have been killed just before it returned.
    """
    found = []
    for key in sorted(evidence.by_key):
        every = evidence.of(key)
        for first, again in itertools.pairwise(every):
            if first.returned and _went_on(evidence, first) and _only_died(evidence, first, again):
                text = (
                    f"{key} was done in process {first.pid}, which went on and then died, and ran"
                )
                found.append(Finding(f"{text} again in process {again.pid}", (key,)))
    return found


def _went_on(evidence: Evidence, run: Run) -> bool:
    """Whether its process began another run after it."""
    return any(
        other.parent == run.parent and other.began >= run.over
        for other in evidence.in_process(run.pid)
    )


def _only_died(evidence: Evidence, first: Run, again: Run) -> bool:
    """Whether the worker was killed, or killed itself, and nothing else hit its pool or the
    database until the task ran again. If its death was only seen, it may have lost its lease. Then
    others had its tasks before its own pool could write anything."""
    near = evidence.blows.on(first, Span(first.began, again.began))
    blows = [blow for blow in near if not blow.slows]
    return all(map(_of_a_worker, blows)) and any(
        blow.death is not None and blow.death.cause != "seen" for blow in blows
    )


def _of_a_worker(blow: Blow) -> bool:
    return blow.death is not None and blow.death.role == "worker"
