"""Figures of the results, as SVG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from stress.rig.figures import Draw, svg

Entry = Mapping[str, Any]
CONCURRENCIES = (1, 2, 8)


def write(entries: Sequence[Entry], folder: Path) -> list[Path]:
    """Draw each figure that the results are enough for; the files that were written."""
    by_name = {entry["scenario"]: entry for entry in entries}
    figures = {
        "bench-throughput.svg": _throughput(by_name),
        "bench-latency.svg": _latency(by_name),
        "bench-long-transaction.svg": _long_transaction(by_name),
    }
    written = []
    for name, draw in figures.items():
        if draw is not None:
            (folder / name).write_text(svg(draw, size=(7, 4)), "utf-8")
            written.append(folder / name)
    return written


def _throughput(by_name: Mapping[str, Entry]) -> Draw | None:
    """No-op drains against concurrency."""
    found = {c: by_name[f"drain-noop-c{c}"] for c in CONCURRENCIES if f"drain-noop-c{c}" in by_name}
    if len(found) < 2:
        return None
    lines: dict[str, dict[int, float]] = {}
    for concurrency, entry in found.items():
        values = {"taskq": entry["ours"], "limit (raw psycopg)": entry["limit"], **entry["peers"]}
        for name, value in values.items():
            if value is not None:
                lines.setdefault(name, {})[concurrency] = value

    def draw(axes: Axes) -> None:
        for name, line in lines.items():
            width = 3 if name == "taskq" else 1.2
            axes.plot(list(line), list(line.values()), marker="o", label=name, linewidth=width)
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(found), [str(each) for each in found])
        axes.set_yscale("log")
        axes.legend(fontsize="x-small", ncols=2)
        _label(axes, "Draining no-op tasks", "workers (-c)", "tasks/s")

    return draw


def _latency(by_name: Mapping[str, Entry]) -> Draw | None:
    """How the start latencies on an idle pool are spread."""
    detail = by_name.get("latency-idle", {}).get("detail", {})
    spread = {name: each["ms"] for name, each in detail.items() if each.get("ms")}
    if "taskq" not in spread:
        return None
    most = max(max(values) for values in spread.values())
    edges = [0.25]
    while edges[-1] < most:
        edges.append(edges[-1] * 1.25)

    def draw(axes: Axes) -> None:
        for name, values in spread.items():
            weights = [1 / len(values)] * len(values)
            axes.hist(values, edges, weights=weights, histtype="step", label=name, linewidth=1.5)
        axes.set_xscale("log")
        axes.legend(fontsize="x-small")
        _label(axes, "Start latency on an idle pool", "ms from commit to start", "share")

    return draw


def _long_transaction(by_name: Mapping[str, Entry]) -> Draw | None:
    """The rate in each second while a transaction is held open."""
    detail = by_name.get("long-transaction", {}).get("detail", {}).get("taskq", {})
    line = detail.get("each second")
    if not line:
        return None

    def draw(axes: Axes) -> None:
        axes.plot(range(1, len(line) + 1), line)
        axes.set_ylim(bottom=0)
        _label(axes, "Draining under a held REPEATABLE READ transaction", "seconds", "tasks/s")

    return draw


def _label(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
