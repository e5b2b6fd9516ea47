"""What was done to tasks that had done nothing: failed for a fault, or run again though done."""

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

    Either for what a fault made of a run, be it that the database restarted under it: such a run
    was interrupted, and is to be run again. Or for losses, when nobody had done anything to them.
    """
    found = []
    for key in sorted(evidence.sent.committed):
        kind, row, runs = evidence.kind(key), evidence.rows.get(key), evidence.of(key)
        if row is None or row.state != "FAILED" or row.cancelled or kind.kills or kind.fails:
            continue
        hit = [blow for run in runs for blow in evidence.injected(run)]
        if LOSS.match(row.error):
            # Whom the kernel kills for want of memory is its own choice.
            chosen = "out of memory" in row.error
            if runs and runs[-1].died and not hit and not chosen:
                text = f"{key} failed with {row.error!r}, and nobody had done anything to it"
                found.append(Finding(text, (key,)))
        elif hit:  # else its outcome is wrong, for no reason known
            text = f"{key} failed with {row.error!r}, for it was hit by: {hit[-1].name}"
            found.append(Finding(text, (key,)))
    return found


def forgotten_finishes(evidence: Evidence) -> list[Finding]:
    """Tasks that were done and ran again because their worker died, though its pool lived on.

    Only those after which the worker had begun another run: what it had done before that, it had
    noted where its pool reads it. The last one may have been killed as it was about to return.
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
    """Whether the worker was killed, or killed itself, and nothing else was done to its pool or to
    the database until the task ran again. One that was only seen to die may have lost its lease:
    then others had its tasks before its own pool could write anything."""
    near = evidence.blows.on(first, Span(first.began, again.began))
    blows = [blow for blow in near if not blow.slows]
    return all(map(_of_a_worker, blows)) and any(
        blow.death is not None and blow.death.cause != "seen" for blow in blows
    )


def _of_a_worker(blow: Blow) -> bool:
    return blow.death is not None and blow.death.role == "worker"
