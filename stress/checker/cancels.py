"""A cancelled task stays cancelled: it never starts again."""

from __future__ import annotations

from collections.abc import Iterable

from stress.checker.failovers import Failovers
from stress.checker.records import Record
from stress.checker.result import Finding
from stress.checker.runs import Run
from stress.checker.state import TaskRow


class Cancels:
    """The cancels of a history.

    A cancel may have begun, and its process died before it wrote the outcome. Such a cancel may
    have removed its task, asked it to end, or done neither. So may one that a failover took back.
    """

    def __init__(self, records: Iterable[Record], failovers: Failovers) -> None:
        self._begun: dict[str, int] = {}  # when
        self._over: dict[str, Record] = {}
        for record in records:
            if record["kind"] == "cancelling":
                self._begun[str(record["key"])] = int(record["at"])
            elif record["kind"] == "cancel" and not failovers.undone(record["at"]):
                self._over[str(record["key"])] = record

    def may_have_removed(self, key: str) -> bool:
        """Whether a task may be gone because of it, without a run."""
        if key in self._over:
            return bool(self._over[key]["outcome"] == "removed")
        return key in self._begun

    def over(self, key: str) -> Record | None:
        """The record of its cancel, if that has surely come to something."""
        return self._over.get(key)

    def may_have_ended(self, key: str) -> bool:
        """Whether a task may be over because of it: removed, or ended in the middle of a run."""
        record = self._over.get(key)
        return key in self._begun if record is None else record["outcome"] != "late"

    def broken(self, runs: Iterable[Run], rows: Iterable[TaskRow]) -> list[Finding]:
        """Tasks that started after they were cancelled, and tasks that are cancelled though no
        process asked for it."""
        found = []
        for run in runs:
            record = self._over.get(run.key)
            if record is None or not _forbids(record, run):
                continue
            if run.began < self._begun.get(run.key, 0):
                continue  # of a later attempt, which a failover took back
            what = "removed" if record["outcome"] == "removed" else "asked to end"
            text = f"{run.key} was cancelled ({what}), and started after that in process {run.pid}"
            found.append(Finding(text, (run.key,)))
        for row in rows:
            if row.cancelled and row.key not in self._begun.keys() | self._over.keys():
                text = f"{row.key} is cancelled, and nobody asked for it"
                found.append(Finding(text, (row.key,)))
        return found


def _forbids(cancel: Record, run: Run) -> bool:
    """Whether this run must not exist, because its task had been cancelled.

    A cancel asks one attempt to end. That attempt may have been claimed and be about to begin, so
    its start is allowed. A later attempt would be a new claim.
    """
    if cancel["outcome"] == "late":
        return False
    last = cancel.get("attempt")
    if last is not None and run.attempt is not None:
        return bool(run.attempt > last)
    return last is None and run.began > cancel["at"]
