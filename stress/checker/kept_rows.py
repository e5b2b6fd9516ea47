"""Rows that are kept of a task that is done: its result, and its row among the finished tasks.

The statement that removes the task's row also writes them, fenced by worker and attempt. So each
task of a kind that keeps them has exactly one, of its last run. A worker that lost the task to a
later attempt cannot write one. While a task is in the table it has none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from stress.checker.evidence import Evidence
from stress.checker.result import Finding
from stress.checker.state import Kind


class KeptRow(Protocol):
    @property
    def key(self) -> str: ...


Row = TypeVar("Row", bound=KeptRow)


def wrong_rows(
    evidence: Evidence,
    rows: Sequence[Row],
    *,
    what: str,
    keeps: Callable[[Kind], bool],
    flaw: Callable[[Evidence, Row], str],
) -> list[Finding]:
    """Rows that are missing, there twice, or there too early, and those with a flaw.

    what: such a row, in words. keeps: whether a kind has them. flaw: what is wrong with a row whose
        task may have one. Empty if it is right.
    """
    found = [
        Finding(f"{key} is done, and its {what} is nowhere", (key,))
        for key in sorted(evidence.sent.committed - {row.key for row in rows})
        if keeps(evidence.kind(key))
        and evidence.ended(key)
        and key not in evidence.rows
        and not evidence.cancels.may_have_removed(key)
    ]
    for key, count in sorted(Counter(row.key for row in rows).items()):
        if count > 1:
            found.append(Finding(f"{key} has {count} {what}s", (key,)))
    for row in sorted(rows, key=lambda row: row.key):
        if wrong := _too_early(evidence, row.key, keeps) or flaw(evidence, row):
            found.append(Finding(f"{row.key} has a {what}, {wrong}", (row.key,)))
    return found


def _too_early(evidence: Evidence, key: str, keeps: Callable[[Kind], bool]) -> str:
    """Why a task may have no such row. Empty if it may."""
    if key in evidence.rows:
        return f"and is in the table as {evidence.rows[key].state}"
    if not keeps(evidence.kind(key)):
        return "and is of a kind that keeps none"
    if not evidence.ended(key):
        return "and no run of it has ended"
    return ""


def overtaken(evidence: Evidence, key: str, attempt: int) -> str:
    """Whether an attempt had lost the task to a later one, in words. Empty if it had not."""
    # A claim that a failover took back does not count as an attempt: its number is used again.
    counted = [run for run in evidence.of(key) if not evidence.failovers.touched(run)]
    last = max((run.attempt or 0 for run in counted), default=0)
    return f"of attempt {attempt}, which had lost it to {last}" if attempt < last else ""
