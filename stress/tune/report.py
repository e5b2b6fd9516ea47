"""The results in words, as tables for a terminal, and as a page."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rich.table import Table

from stress.rig.page import Table as HtmlTable
from stress.rig.page import figure, render
from stress.tune.grid import Grid
from stress.tune.results import Results

Rows = Sequence[Sequence[str]]


def advice(results: Results, target: float) -> list[str]:
    """The settings for a target, or why there are none: one line for each latency."""
    return [_advice(results, target, latency) for latency in results.latencies]


def _advice(results: Results, target: float, latency: float) -> str:
    away = f"Database {latency * 1000:g} ms away"
    best = results.recommended(target, latency)
    if best is None:
        prospects = results.prospects(latency)
        soonest = min(prospects, key=lambda each: (not each.sound, each.recovery))
        return (
            f"{away}: no setting tried surely recovers a lost host within {target:g} s; "
            f"the fastest is {soonest.setting} with {soonest.recovery:.1f} s. "
            "Try a shorter lease, or a database that is nearer."
        )
    lease, beat = best.setting.lease, best.setting.heartbeat
    how = "measured" if best.measured else "predicted"
    return (
        f"{away}: LEASE {lease:g}, HEARTBEAT {beat:g} recovers a lost host within {target:g} s "
        f"({best.recovery:.1f} s at most, {how}). An outage of the database of up to "
        f"{best.outage:.1f} s stops no work. A pool sends {best.beats:.2g} heartbeat statements "
        "a second."
    )


def skipped(grid: Grid) -> str:
    """Which pairs were left out and why. Empty if none was."""
    if not grid.skipped:
        return ""
    pairs = ", ".join(map(str, grid.skipped))
    return f"skipped, because a heartbeat may be at most a third of its lease: {pairs}"


PROSPECTS = (
    "lease/heartbeat (s)",
    "longest wait (s)",
    "",
    "healthy leases",
    "outage (s)",
    "heartbeats (1/s)",
)


def prospect_rows(results: Results) -> Rows:
    return [
        (
            str(each.setting),
            f"{each.recovery:.1f}",
            "measured" if each.measured else "predicted",
            "kept" if each.sound else "lost",
            f"{each.outage:.1f}",
            f"{each.beats:.2g}",
        )
        for each in results.prospects(results.latencies[0])
    ]


CELLS = (
    "lease/heartbeat (s)",
    "round trip (ms)",
    "host lost: median (s)",
    "max (s)",
    "worker killed: median (s)",
    "max (s)",
    "kills",
    "false expiries",
    "late",
    "tasks done",
)


def cell_rows(results: Results) -> Rows:
    return [
        (
            str(cell.setting),
            f"{cell.latency * 1000:g}",
            *_spread(cell.host_recovery),
            *_spread(cell.worker_recovery),
            str(len(cell.worker_recovery)),
            str(cell.false_expiries),
            str(cell.late),
            str(cell.done),
        )
        for cell in results.cells
    ]


COSTS = ("heartbeat (s)", "leases", "statements (1/s)", "WAL (bytes/s)")


def cost_rows(results: Results) -> Rows:
    return [
        (
            f"{cost.heartbeat:g}",
            str(cost.processes),
            f"{cost.queries:.2f}",
            f"{cost.wal_bytes:.0f}",
        )
        for cost in results.costs
    ]


def tables(results: Results) -> list[Table]:
    """The tables for a terminal."""
    return [
        _table("trials", CELLS, cell_rows(results)),
        _table("heartbeats of an idle pool", COSTS, cost_rows(results)),
        _table(f"settings, {_nearest(results)}", PROSPECTS, prospect_rows(results)),
    ]


def page(results: Results, plots: dict[str, str], target: float, made: str) -> str:
    """The whole report as an HTML page.

    made: how and on what it was measured.
    """
    best = results.recommended(target, results.latencies[0])
    return render(
        "tune/report.html",
        {
            **{name: figure(plot) for name, plot in plots.items()},
            "advice": advice(results, target),
            "nearest": _nearest(results),
            "made": made,
            "takeover": f"{results.takeover(results.latencies[0]):.2f}",
            "lost": str(results.processes),
            "processes": str(results.costs[0].processes if results.costs else 0),
            "prospects": HtmlTable(
                PROSPECTS, prospect_rows(results), best=str(best.setting) if best else ""
            ),
            "costs": HtmlTable(COSTS, cost_rows(results)),
            "cells": HtmlTable(CELLS, cell_rows(results)),
        },
    )


def _nearest(results: Results) -> str:
    return f"database {results.latencies[0] * 1000:g} ms away"


def _spread(values: list[float]) -> tuple[str, str]:
    if not values:
        return "none", "none"
    return f"{statistics.median(values):.2f}", f"{max(values):.2f}"


def _table(title: str, head: Sequence[str], rows: Rows) -> Table:
    view = Table(title=title)
    for number, column in enumerate(head):
        view.add_column(column, justify="right" if number else "left")
    for row in rows:
        view.add_row(*row)
    return view
