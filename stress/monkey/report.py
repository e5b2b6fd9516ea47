"""The report of the monkey: as data, as JSON, as a table."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.table import Table

from stress.monkey.witness import Case


@dataclass(frozen=True)
class Spread:
    """Seconds in n cases."""

    median: float
    max: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(round(statistics.median(values), 4), round(max(values), 4), len(values))


@dataclass
class Report:
    """The keys of the JSON.

    faults: how often each was injected. kills, freezes: how many of each sort.
    held: tasks that a victim held when it was hit. They divide into
        retried: claimed again; waiting: reclaimed and not claimed again yet;
        failed: kept as failed, with the cause;
        gone: finished before the next look at the table.
    charged: held tasks that were charged a loss.
    lost: held tasks that no pool took over, and all other tasks in the table whose lease
        ran out and that no pool took over.
    unmended: victims whose seat had no process with a valid lease in the end.
    false_expiries: leases lost in a freeze that was too short for that.
    recovery_s: by fault, from the fault to the next claim of a held task.
    mended_s: by fault, from the fault to a process with a valid lease in that seat.
    events: from the log of the pool, if it could be read.
    """

    pool: str = ""
    seed: int = 0
    lease_s: float = 0.0
    heartbeat_s: float = 0.0
    seconds: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)
    kills: int = 0
    freezes: int = 0
    held: int = 0
    retried: int = 0
    waiting: int = 0
    failed: int = 0
    gone: int = 0
    charged: int = 0
    lost: int = 0
    unmended: int = 0
    false_expiries: int = 0
    recovery_s: dict[str, Spread] = field(default_factory=dict)
    mended_s: dict[str, Spread] = field(default_factory=dict)
    events: dict[str, int] | None = None
    pool_alive: bool = True

    @property
    def ok(self) -> bool:
        return self.pool_alive and self.lost == 0 and self.unmended == 0

    def count(self, cases: Sequence[Case]) -> None:
        """Count what was seen so far."""
        tasks = [task for case in cases for task in case.tasks]
        fates = Counter(task.fate for task in tasks)
        recovery: dict[str, list[float]] = defaultdict(list)
        mended: dict[str, list[float]] = defaultdict(list)
        for case in cases:
            kind = case.blow.kind
            recovery[kind] += [t.recovery for t in case.tasks if t.recovery is not None]
            if case.mended:
                mended[kind].append(case.mended)
        self.faults = dict(Counter(case.blow.kind.value for case in cases))
        self.kills = sum(case.blow.kind.kills for case in cases)
        self.freezes = len(cases) - self.kills
        self.held = len(tasks)
        self.retried, self.waiting = fates["again"], fates["waiting"]
        self.failed, self.gone = fates["failed"], fates["gone"]
        self.charged = sum(task.charged for task in tasks)
        self.false_expiries = sum(case.blow.kind.short and case.lease_lost for case in cases)
        self.recovery_s = {kind: Spread.of(each) for kind, each in recovery.items() if each}
        self.mended_s = {kind: Spread.of(each) for kind, each in mended.items() if each}

    def conclude(self, cases: Sequence[Case], stranded: int) -> None:
        """Count at the end: what is still open counts against the pool.

        stranded: tasks in the table whose lease ran out and that no pool took over.
        """
        self.count(cases)
        self.lost = max(sum(len(case.unaccounted) for case in cases), stranded)
        self.unmended = sum(case.mended is None for case in cases)


_WORDS = {
    "kills": "processes killed (SIGKILL)",
    "freezes": "processes frozen (SIGSTOP)",
    "held": "tasks that they held",
    "retried": "… claimed again",
    "waiting": "… reclaimed, waiting",
    "failed": "… kept as failed, with the cause",
    "gone": "… finished before the next look at the table",
    "charged": "… charged a loss",
    "lost": "tasks lost",
    "unmended": "seats without a process that holds a valid lease",
    "false_expiries": "leases lost in a short freeze",
}


def table(report: Report, stage: str) -> Table:
    """The report for a terminal."""
    view = Table(title=f"monkey on {report.pool}: {stage}", show_header=False)
    for key, words in _WORDS.items():
        view.add_row(words, str(getattr(report, key)))
    for title, spreads in (
        ("fault → claimed again", report.recovery_s),
        ("fault → replaced", report.mended_s),
    ):
        for kind, spread in sorted(spreads.items()):
            text = f"median {spread.median:.3f} s, max {spread.max:.3f} s, n {spread.n}"
            view.add_row(f"{title}: {kind}", text)
    if report.events is not None:
        for event, count in sorted(report.events.items()):
            view.add_row(f"the pool logged {event}", str(count))
    return view
