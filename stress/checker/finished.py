"""Finished tasks that are kept: each that is done has one row, of the run that finished it."""

from __future__ import annotations

from stress.checker.evidence import Evidence
from stress.checker.kept_rows import overtaken, wrong_rows
from stress.checker.result import Finding
from stress.checker.state import FinishedRow


def wrong_finished(evidence: Evidence) -> list[Finding]:
    """Rows of finished tasks that are missing, wrong, there twice, or there too early.

    A row must have the attempt of the run that finished. It has what that returned if the task
    keeps its result as well.
    """
    return wrong_rows(
        evidence,
        evidence.state.finished,
        what="finished row",
        keeps=lambda kind: kind.keep_finished,
        flaw=_flaw,
    )


def _flaw(evidence: Evidence, row: FinishedRow) -> str:
    if not any(run.returned and run.attempt == row.attempt for run in evidence.of(row.key)):
        return f"of attempt {row.attempt}, and that has not ended"
    keeps = evidence.kind(row.key).keeps
    if row.value != ({"key": row.key, "attempt": row.attempt} if keeps else None):
        return f"with the value {row.value!r}"
    return overtaken(evidence, row.key, row.attempt)
