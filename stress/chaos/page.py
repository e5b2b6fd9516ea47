"""The report of a run as an HTML page."""

from __future__ import annotations

from collections.abc import Sequence

from stress.chaos.report import Report
from stress.chaos.timeline import Record, timeline
from stress.checker.result import Recovery
from stress.rig.page import Table, figure, render


def page(report: Report, records: Sequence[Record]) -> str:
    """The page. records: the whole history of the run."""
    verdict = report.verdict
    return render(
        "chaos/report.html",
        {
            "seed": str(report.options.seed),
            "ok": report.ok,
            "timeline": figure(timeline(records)),
            "violations": Table(
                ("violation", "found"),
                [(name, str(len(found))) for name, found in verdict.violations.items()],
            ),
            "findings": Table(
                ("violation", "what was found"),
                [(name, each.text) for name, found in verdict.violations.items() for each in found],
            ),
            "recovery": Table(
                ("after the death of a", "n", "median", "p99", "max", "standstill"),
                [
                    (name, str(each.n), *map(_seconds, _times(each)))
                    for name, each in verdict.recovery_s.items()
                    if each is not None
                ],
            ),
            "again": Table(("what", "how often"), list(report.run_again().items())),
            "counts": Table(
                ("what", "how often"),
                [(name, str(n)) for name, n in [*verdict.counts.items(), *report.events.items()]],
            ),
            "faults": Table(
                ("fault", "how often"), [(name, str(n)) for name, n in report.faults.items()]
            ),
            "oom": report.oom,
            "skipped": Table(("left out", "why"), list(report.skipped.items())),
            "errors": report.errors,
        },
    )


def _times(each: Recovery) -> tuple[float, ...]:
    return each.median, each.p99, each.max, each.standstill


def _seconds(value: float) -> str:
    return f"{value:.3f}"
