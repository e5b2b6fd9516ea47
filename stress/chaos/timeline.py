"""The timeline of a run: its faults, and what was done in each second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from pool.clock import SECOND
from stress.rig import figures

Record = dict[str, Any]

#: Kind of record -> its label and its color.
_LINES = {
    "commit": ("committed", "#8a8a8a"),
    "end": ("done", "#17722b"),
    "death": ("deaths", "#b3261e"),
}


def timeline(records: Sequence[Record]) -> str:
    """An SVG: faults above, commits, finished runs and deaths a second below."""
    zero = min(record["at"] for record in records)
    spans = _spans(records, zero)

    def faults(axes: Axes) -> None:
        for row, name in enumerate(sorted(spans)):
            axes.broken_barh(spans[name], (row - 0.35, 0.7), color="#b3261e", alpha=0.6)
        axes.set_yticks(range(len(spans)), sorted(spans))
        axes.set_title("faults")

    def rates(axes: Axes) -> None:
        for kind, (label, color) in _LINES.items():
            axes.plot(*_per_second(records, kind, zero), label=label, color=color)
        axes.set_title("in each second")
        axes.set_xlabel("seconds")
        axes.legend(loc="upper right")

    rows = len(spans)
    return figures.svg(faults, rates, size=(13, 3 + 0.25 * rows), heights=(rows + 1, 8))


def _spans(records: Sequence[Record], zero: int) -> dict[str, list[tuple[float, float]]]:
    """Fault -> when it began, and how long it lasted; at least a tenth of a second."""
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
