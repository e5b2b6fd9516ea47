"""Results: each task that keeps its result and is done has one, of its last run."""

from __future__ import annotations

from stress.checker.evidence import Evidence
from stress.checker.kept_rows import overtaken, wrong_rows
from stress.checker.result import Finding
from stress.checker.state import ResultRow


def wrong_results(evidence: Evidence) -> list[Finding]:
    """Results that are missing, wrong, there twice, or there too early.

    The value of a result must be its task's key and the attempt that returned it.
    """
    rows = evidence.state.results
    return wrong_rows(evidence, rows, what="result", keeps=lambda kind: kind.keeps, flaw=_flaw)


def _flaw(evidence: Evidence, row: ResultRow) -> str:
    returned = [run for run in evidence.of(row.key) if run.returned]
    if not any(row.value == {"key": row.key, "attempt": run.attempt} for run in returned):
        return f"{row.value!r}, which no run of it has returned"
    return overtaken(evidence, row.key, row.value["attempt"])
