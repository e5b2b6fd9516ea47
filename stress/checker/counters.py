"""Counters: what a pool says it ran, against what its tasks wrote themselves.

A task writes its end before its worker counts it. So a pool never counts more ends than there are.
It counts fewer only where a worker died: what that one had not counted yet is gone. A run whose end
the pool could not keep is counted too, as lost, retried or failed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from pool.clock import SECOND
from stress.checker.evidence import Evidence
from stress.checker.records import Record
from stress.checker.result import Finding
from stress.checker.runs import Run


def counters_wrong(evidence: Evidence) -> list[Finding]:
    """Pools that counted a run that was none, or left one out."""
    by_pool: dict[int, list[Run]] = defaultdict(list)
    for run in evidence.runs:
        by_pool[run.parent].append(run)
    found = []
    for record in _last_scrapes(evidence.records):
        pool, done = int(record["victim"]), int(record["counts"].get("done", 0))
        runs = by_pool[pool]
        ended = sum(run.returned and run.over <= record["at"] for run in runs)
        if done > ended:
            found.append(Finding(f"pool {pool} counted {done} runs as done, and {ended} ended"))
        elif record["last"] and done < ended - (gone := _excused(evidence, runs, record)):
            text = f"pool {pool} counted {done} runs as done, and {ended} ended"
            found.append(Finding(f"{text}; {gone} of them may be missing"))
    return found


def _last_scrapes(records: Sequence[Record]) -> list[Record]:
    """The last scrape of each pool."""
    scrapes = {record["victim"]: record for record in records if record["kind"] == "scrape"}
    return list(scrapes.values())


def _excused(evidence: Evidence, runs: Sequence[Run], record: Record) -> int:
    """How many of the runs that ended may not be counted as done."""
    others = sum(int(count) for end, count in record["counts"].items() if end != "done")
    raised = sum(run.how == "raised" for run in runs)
    return max(0, others - raised) + len(_gone(evidence, runs))


def _gone(evidence: Evidence, runs: Sequence[Run]) -> list[Run]:
    """The runs that a worker may not have counted when it died."""
    lives: dict[int, list[Run]] = defaultdict(list)
    for run in runs:
        lives[run.pid].append(run)
    dead = {death.victim for death in evidence.deaths} | {
        pid for death in evidence.deaths for pid in death.with_it
    }
    found = []
    for pid, of_process in lives.items():
        if pid in dead or any(run.died for run in of_process):
            since = of_process[-1].seen - evidence.limits.unwritten * SECOND
            found += [run for run in of_process if run.returned and run.over >= since]
    return found
