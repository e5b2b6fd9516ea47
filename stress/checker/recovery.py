"""G7: from a death to the next start of what ran."""

from __future__ import annotations

import itertools
from bisect import bisect
from collections import defaultdict

from stress.checker.blows import Blow
from stress.checker.evidence import Evidence
from stress.checker.records import Span, seconds
from stress.checker.result import Recovery
from stress.checker.runs import Death, Run


def recovery(evidence: Evidence) -> dict[str, Recovery | None]:
    """For each run that was killed, the seconds until its task was started again.

    ``worker``: its worker alone was killed. ``pool``: its supervisor or all of its pool was.
    ``_disturbed``: something else was broken in between (an outage, a freeze, a slow database, the
    death of a keeper, a supervisor or a pool). Then the time says little about this death. A task
    that was not started again is not counted.
    """
    found: dict[str, list[float]] = defaultdict(list)
    standstill: dict[str, float] = defaultdict(float)
    breaking = [blow for blow in evidence.blows.all if _breaks_more(blow)]
    for key in evidence.by_key:
        every = evidence.of(key)
        for first, second in itertools.pairwise(every):
            death = first.death
            if death is None or not death.injected or first.how != "killed":
                continue
            name = "pool" if death.takes_children else "worker"
            if _disturbed(breaking, death, second):
                name += "_disturbed"
            found[name].append(max(0.0, seconds(second.began - death.alive)))
            standstill[name] = max(standstill[name], _standstill(evidence, death, second))
    names = ("worker", "pool", "worker_disturbed", "pool_disturbed")
    return {name: Recovery.of(found[name], standstill[name]) for name in names}


def _standstill(evidence: Evidence, death: Death, again: Run) -> float:
    """The longest time between the death and the next start in which no older task started either.
    Older tasks were sent earlier, and so come first."""
    called = evidence.sent.called
    first, last = (
        bisect(evidence.runs, moment, key=lambda run: run.began)
        for moment in (death.alive, again.began)
    )
    sent = called.get(again.key, again.began)  # a tick: nobody noted when it was sent
    older = [
        run.began for run in evidence.runs[first:last] if called.get(run.key, run.began) < sent
    ]
    moments = [death.alive, *older, max(death.alive, again.began)]
    return seconds(max(later - earlier for earlier, later in itertools.pairwise(moments)))


def _disturbed(breaking: list[Blow], death: Death, again: Run) -> bool:
    span = Span(death.alive, again.began)
    return any(blow.span.meets(span) and blow.death != death for blow in breaking)


def _breaks_more(blow: Blow) -> bool:
    """Whether it is more than the death of one worker."""
    return blow.death is None or blow.death.role != "worker"
