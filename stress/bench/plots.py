"""Plots of the results, as SVG. They need matplotlib, of the ``bench`` extra."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Entry = Mapping[str, Any]
CONCURRENCIES = (1, 2, 8)


def available() -> bool:
    return importlib.util.find_spec("matplotlib") is not None


def write(entries: Sequence[Entry], folder: Path) -> list[Path]:
    """Draw what the results have the figures for; the files that were written."""
    import matplotlib

    matplotlib.use("svg")
    # The same figures give the same file.
    matplotlib.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none"})
    by_name = {entry["scenario"]: entry for entry in entries}
    plots = {
        "bench-throughput.svg": _throughput(by_name),
        "bench-latency.svg": _latency(by_name),
        "bench-long-transaction.svg": _long_transaction(by_name),
    }
    written = []
    for name, figure in plots.items():
        if figure is not None:
            figure.savefig(folder / name, metadata={"Date": None})
            written.append(folder / name)
    return written


def _throughput(by_name: Mapping[str, Entry]) -> Any:
    """No-op drains against concurrency."""
    found = {c: by_name[f"drain-noop-c{c}"] for c in CONCURRENCIES if f"drain-noop-c{c}" in by_name}
    if len(found) < 2:
        return None
    figure, axes = _axes("Draining no-op tasks", "workers (-c)", "tasks/s")
    lines: dict[str, dict[int, float]] = {}
    for concurrency, entry in found.items():
        values = {"taskq": entry["ours"], "limit (raw psycopg)": entry["limit"], **entry["peers"]}
        for name, value in values.items():
            if value is not None:
                lines.setdefault(name, {})[concurrency] = value
    for name, line in lines.items():
        ours = name == "taskq"
        axes.plot(
            list(line), list(line.values()), marker="o", label=name, linewidth=3 if ours else 1.2
        )
    axes.set_yscale("log")
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(found), [str(each) for each in found])
    axes.legend(fontsize="x-small", ncols=2)
    return figure


def _latency(by_name: Mapping[str, Entry]) -> Any:
    """How the start latencies on an idle pool are spread."""
    detail = by_name.get("latency-idle", {}).get("detail", {})
    spread = {name: each["ms"] for name, each in detail.items() if each.get("ms")}
    if "taskq" not in spread:
        return None
    figure, axes = _axes("Start latency on an idle pool", "ms from commit to start", "share")
    most = max(max(values) for values in spread.values())
    edges = [0.25]
    while edges[-1] < most:
        edges.append(edges[-1] * 1.25)
    for name, values in spread.items():
        weights = [1 / len(values)] * len(values)
        axes.hist(values, edges, weights=weights, histtype="step", label=name, linewidth=1.5)
    axes.set_xscale("log")
    axes.legend(fontsize="x-small")
    return figure


def _long_transaction(by_name: Mapping[str, Entry]) -> Any:
    """The rate, second by second, while a transaction is held open."""
    detail = by_name.get("long-transaction", {}).get("detail", {}).get("taskq", {})
    line = detail.get("each second")
    if not line:
        return None
    figure, axes = _axes("Draining under a held REPEATABLE READ transaction", "seconds", "tasks/s")
    axes.plot(range(1, len(line) + 1), line)
    axes.set_ylim(bottom=0)
    return figure


def _axes(title: str, x: str, y: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    return figure, axes
