"""Which tasks ran again: whether the run before had ended, and what had hit it."""

from __future__ import annotations

import itertools
from collections import Counter

from pool.clock import SECOND
from stress.checker.blows import FREEZE
from stress.checker.evidence import Evidence
from stress.checker.records import Span
from stress.checker.result import ONLY_WORKER, RunAgain
from stress.checker.runs import Run

#: What hit a run, in plain words. If several are true, the report names the first of these.
FAILOVER = "the database went back to an older copy"
POOL = "its pool was killed"
FROZEN = "its worker was frozen"
AWAY = "the database was away"
#: Added if its worker was also killed, or killed itself.
AND_WORKER = ", and its worker was killed"
NOTHING = "nothing that is known"
#: Raised in a run that its pool stops, because another worker may have its task.
STOPPED = "TaskCancelled"


def run_again(evidence: Evidence) -> RunAgain:
    """Counts each run after which its task was started again, except for retries after an error.

    Such a run had ended, or it was cut off. The run of an atomic task ends with its commit, and
    that of one that a workflow replaces with the statement that writes it. So one of these that is
    started again was always cut off.
    """
    ended, cut = Counter({ONLY_WORKER: 0}), Counter({ONLY_WORKER: 0})
    for key in sorted(evidence.by_key):
        for first, again in itertools.pairwise(evidence.of(key)):
            if first.returned and not evidence.ends_later(first):
                ended[_cause(evidence, first, again)] += 1
            elif first.how != "raised" or first.cut_off or first.error == STOPPED:
                cut[_cause(evidence, first, again)] += 1
    return RunAgain(sum(map(evidence.ended, evidence.by_key)), ended, cut)


def _cause(evidence: Evidence, first: Run, again: Run) -> str:
    """What hit the first run, until the task ran again or the lease had surely ended."""
    limits = evidence.limits
    until = min(again.began, first.over + (limits.lease + limits.unwritten) * SECOND)
    span = Span(first.began, until)
    if evidence.failovers.meet(Span(first.began, min(first.over, again.began))):
        return FAILOVER
    blows = [blow for blow in evidence.blows.on(first, span) if not blow.slows]
    killed = [blow for blow in blows if blow.death is not None and blow.death.cause != "seen"]
    if any(blow.whole for blow in killed):
        return POOL
    if any(blow.name == FREEZE for blow in blows):
        return FROZEN
    faults = [blow for blow in blows if blow.death is None]
    if faults:
        away = any(blow.cuts for blow in faults)
        return (AWAY if away else faults[0].name) + (AND_WORKER if killed else "")
    # A worker whose death was only seen, or is only concluded, may have lost its lease.
    return ONLY_WORKER if blows or evidence.causes(first) else NOTHING
