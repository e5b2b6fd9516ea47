"""The report as one page of HTML: a timeline of faults and throughput, and the figures."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

from pool.clock import SECOND
from stress.chaos.report import Report

Record = dict[str, Any]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
td, th { border-bottom: 1px solid #ddd; padding: .2rem .8rem .2rem 0; text-align: left }
td { white-space: pre-line }
svg { max-width: 100%; height: auto }
.ok { color: #17722b } .bad { color: #b3261e }
"""


def page(report: Report, records: Sequence[Record]) -> str:
    """A page that needs nothing beside itself."""
    verdict = report.verdict
    word = '<span class="ok">ok</span>' if report.ok else '<span class="bad">not ok</span>'
    recovery = [
        (name, each.n, *(f"{n:.3f}" for n in (each.median, each.p99, each.max, each.standstill)))
        for name, each in verdict.recovery_s.items()
        if each is not None
    ]
    findings = [
        (name, finding.text) for name, found in verdict.violations.items() for finding in found
    ]
    parts = [
        f"<!doctype html><meta charset=utf-8><title>chaos</title><style>{_STYLE}</style>",
        f"<h1>Chaos, seed {report.options.seed}: {word}</h1>",
        _svg(records),
        "<h2>Violations</h2>",
        _table(("", ""), [(name, len(found)) for name, found in verdict.violations.items()]),
        _table(("violation", "what was found"), findings) if findings else "",
        "<h2>Recovery, in seconds</h2>",
        _table(("after the death of a", "n", "median", "p99", "max", "standstill"), recovery),
        "<h2>Run again</h2>",
        _table(("", ""), report.run_again().items()),
        "<h2>Counts</h2>",
        _table(("", ""), [*verdict.counts.items(), *report.events.items()]),
        "<h2>Faults</h2>",
        _table(("fault", "times"), report.faults.items()),
        f"<p>Out of memory by {escape(report.oom)}.</p>",
        _table(("left out", "why"), report.skipped.items()) if report.skipped else "",
        _table(("the harness failed", ""), [(e, "") for e in report.errors]),
    ]
    return "\n".join(part for part in parts if part)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    body = [
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    ]
    if not body:
        return ""
    heads = "".join(f"<th>{escape(each)}</th>" for each in head)
    return f"<table><tr>{heads}</tr>{''.join(body)}</table>"


def _svg(records: Sequence[Record]) -> str:
    """Faults above, tasks done a second and recorded deaths below, on one axis of time."""
    zero = min(record["at"] for record in records)
    spans = _spans(records, zero)
    names = sorted(spans)
    figure, (above, below) = pyplot.subplots(
        2, 1, sharex=True, figsize=(13, 3 + 0.25 * len(names)), height_ratios=[len(names) + 1, 8]
    )
    for row, name in enumerate(names):
        above.broken_barh(spans[name], (row - 0.35, 0.7), color="#b3261e", alpha=0.6)
    above.set_yticks(range(len(names)), names)
    above.set_title("faults")
    for kind, label, color in (
        ("commit", "committed", "#8a8a8a"),
        ("end", "done", "#17722b"),
        ("death", "deaths", "#b3261e"),
    ):
        seconds, counts = _per_second(records, kind, zero)
        below.plot(seconds, counts, label=label, color=color)
    below.set_title("a second")
    below.set_xlabel("seconds")
    below.legend(loc="upper right")
    figure.tight_layout()
    text = io.StringIO()
    figure.savefig(text, format="svg")
    pyplot.close(figure)
    return text.getvalue()[text.getvalue().index("<svg") :]


def _spans(records: Sequence[Record], zero: int) -> dict[str, list[tuple[float, float]]]:
    """Name -> when it began, and for how long; a moment is shown as a tenth of a second."""
    found: dict[str, list[tuple[float, float]]] = {}
    begun: dict[tuple[str, str], float] = {}
    for record in records:
        if record["kind"] == "fault":
            at = (record["at"] - zero) / SECOND
            of = (record["name"], record["target"])
            if record["phase"] == "begin":
                begun[of] = at
            else:
                began = begun.pop(of)
                found.setdefault(record["name"], []).append((began, max(0.1, at - began)))
    return found


def _per_second(records: Sequence[Record], kind: str, zero: int) -> tuple[list[int], list[int]]:
    counts: Counter[int] = Counter()
    for record in records:
        if record["kind"] == kind:
            # A commit may be of several tasks.
            counts[(record["at"] - zero) // SECOND] += len(record.get("keys", [kind]))
    seconds = list(range((records[-1]["at"] - zero) // SECOND + 1))
    return seconds, [counts[second] for second in seconds]
