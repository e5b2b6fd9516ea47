"""Results: each task that keeps its result and is done has one, of its last run.

The statement that removes the task's row also writes the result, fenced by worker and attempt.
So a worker that lost the task to a later attempt cannot write one. While a task is in the table it
has no result.
"""

from __future__ import annotations

from collections import Counter

from stress.checker.evidence import Evidence
from stress.checker.result import Finding
from stress.checker.state import ResultRow


def wrong_results(evidence: Evidence) -> list[Finding]:
    """Results that are missing, wrong, there twice, or there too early.

    The value of a result must be its task's key and the attempt that returned it.
    """
    results = evidence.state.results
    found = [
        Finding(f"{key} is done, and its result is nowhere", (key,))
        for key in sorted(evidence.sent.committed - {result.key for result in results})
        if evidence.kind(key).keeps
        and evidence.ended(key)
        and key not in evidence.rows
        and not evidence.cancels.may_have_removed(key)
    ]
    for key, count in sorted(Counter(result.key for result in results).items()):
        if count > 1:
            found.append(Finding(f"{key} has {count} results", (key,)))
    for result in sorted(results, key=lambda result: result.key):
        if wrong := _wrong(evidence, result):
            found.append(Finding(f"{result.key} has a result, {wrong}", (result.key,)))
    return found


def _wrong(evidence: Evidence, result: ResultRow) -> str:
    """What is wrong with a result. Empty if it is right."""
    key = result.key
    if key in evidence.rows:
        return f"and is in the table as {evidence.rows[key].state}"
    if not evidence.kind(key).keeps:
        return "and is of a kind that keeps none"
    if not evidence.ended(key):
        return "and no run of it has ended"
    runs = evidence.of(key)
    # A claim that a failover took back does not count as an attempt: its number is used again.
    counted = [run for run in runs if not evidence.failovers.touched(run)]
    last = max((run.attempt or 0 for run in counted), default=0)
    if not any(
        result.value == {"key": key, "attempt": run.attempt} for run in runs if run.returned
    ):
        return f"{result.value!r}, which no run of it has returned"
    if result.value["attempt"] < last:
        return f"of attempt {result.value['attempt']}, which had lost it to {last}"
    return ""
