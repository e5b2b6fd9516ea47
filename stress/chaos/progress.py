"""The view of a run while it goes on."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from rich.table import Table

from stress.checker import FinalState, Limits, judge
from stress.checker.records import keys_of
from stress.rig.history import Tail

#: Seconds between two checks of the whole history so far.
JUDGE_EVERY = 5.0
#: The violations that can be known before the end.
_EARLY = ("overlaps", "bad_exits")


class Progress:
    """Follows a history and counts. ``records`` is the whole history so far."""

    def __init__(self, path: str, limits: Limits) -> None:
        self.records: list[dict[str, Any]] = []
        self.faults: Counter[str] = Counter()
        self._tail = Tail(path)
        self._limits = limits
        self._committed = 0
        self._done = 0
        self._running: dict[int, str] = {}
        self._now: dict[str, None] = {}
        self._violations: dict[str, int] = {}
        self._judge_due = time.monotonic() + JUDGE_EVERY

    def follow(self) -> None:
        """Read the new records."""
        for record in self._tail.read():
            self.records.append(record)
            self._count(record)

    def table(self, stage: str, waiting: int | None = None) -> Table:
        """The view for a terminal. waiting: the number of tasks that are not done, if known."""
        if time.monotonic() > self._judge_due:
            self._judge()
            self._judge_due = time.monotonic() + JUDGE_EVERY
        table = Table(title=f"chaos: {stage}", show_header=False)
        table.add_row("committed", str(self._committed))
        table.add_row("done", str(self._done))
        table.add_row("in flight", str(len(self._running)))
        if waiting is not None:
            table.add_row("to go", str(waiting))
        table.add_row("faults so far", str(self.faults.total()))
        table.add_row("at the moment", ", ".join(self._now))
        bad = {name: n for name, n in self._violations.items() if n}
        words = ", ".join(f"{name} {n}" for name, n in bad.items())
        table.add_row("violations", words or "none", style="red" if bad else "green")
        return table

    def _count(self, record: dict[str, Any]) -> None:
        match record["kind"]:
            case "commit":
                self._committed += len(keys_of(record))
            case "start":
                self._running[record["pid"]] = record["key"]
            case "end" | "raised":
                self._running.pop(record["pid"], None)
                self._done += record["kind"] == "end"
            case "death":
                for pid in (record["victim"], *record.get("victims", ())):
                    self._running.pop(pid, None)
            case "fault":
                self._count_fault(record)

    def _count_fault(self, record: dict[str, Any]) -> None:
        label = f"{record['name']} {record.get('target', '')}".strip()
        if record["phase"] == "begin":
            self.faults[record["name"]] += 1
            self._now[label] = None
        else:
            self._now.pop(label, None)

    def _judge(self) -> None:
        verdict = judge(self.records, FinalState(), self._limits)
        self._violations = {name: len(verdict.violations[name]) for name in _EARLY}
