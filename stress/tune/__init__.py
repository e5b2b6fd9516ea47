"""The tuner: it kills hosts and workers to measure what a lease and a heartbeat give and
cost, and recommends settings for a target."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from stress.tune.grid import Grid
    from stress.tune.results import Results

#: The longest lease and the seconds of load with --quick.
QUICK_LONGEST, QUICK_SECONDS = 5.0, 12.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = __doc__
    add = parser.add_argument
    add("--lease", type=_seconds, default=[2.0, 5.0, 10.0, 30.0, 60.0], metavar="S,S")
    add("--heartbeat", type=_seconds, default=[0.5, 1.0, 3.0, 10.0], metavar="S,S")
    add(
        "--latency",
        type=_milliseconds,
        default=[0.0, 0.05, 0.2],
        metavar="MS,MS",
        help="round trips to the database, in milliseconds (0,50,200)",
    )
    add("--kill-every", type=float, default=3.0, metavar="S", help="seconds between workers (3)")
    add("--seconds", type=float, default=20.0, metavar="S", help="of load a trial, at least (20)")
    add("--target", type=float, default=15.0, metavar="S", help="time to recover a lost host (15)")
    add(
        "--longest",
        type=float,
        default=float("inf"),
        metavar="S",
        help="longer leases are predicted by formula, not measured",
    )
    add(
        "--quick",
        action="store_true",
        help=f"--longest {QUICK_LONGEST:g} --seconds {QUICK_SECONDS:g}: some four minutes",
    )
    add("--skip-cost", action="store_true", help="leave out what heartbeats cost")
    add("--json", type=Path, metavar="FILE", help="write the results to this file")
    add("--html", type=Path, default=Path("tune-report.html"), metavar="FILE", help="the report")
    add("--svg", type=Path, metavar="DIR", help="write each plot to a file in this folder")


def main(options: argparse.Namespace) -> int:
    """Measure, report and recommend. Returns 1 if no setting surely reaches the target."""
    from stress.tune.grid import grid
    from stress.tune.report import advice, page, skipped, tables

    console = Console()
    try:
        asked = grid(
            options.lease,
            options.heartbeat,
            options.latency,
            longest=QUICK_LONGEST if options.quick else options.longest,
            seconds=QUICK_SECONDS if options.quick else options.seconds,
        )
    except ValueError as error:
        console.print(f"tune: {error}")
        return 2
    if left_out := skipped(asked):
        console.print(left_out)
    trials = len(asked.measured) * len(asked.latencies)
    console.print(
        f"{trials} trials of {len(asked.measured)} settings, "
        f"{len(asked.settings) - len(asked.measured)} more settings predicted; this takes about "
        f"{asked.duration / 60:.0f} minutes"
    )
    results = _measure(asked, options.kill_every, not options.skip_cost, console.print)

    from stress.tune.plots import all_plots

    console.print(*tables(results), sep="\n")
    console.print(*advice(results, options.target), sep="\n")
    plots = all_plots(results, options.target)
    options.html.write_text(page(results, plots, options.target, _made(asked.seconds)), "utf-8")
    console.print(f"the report: {options.html}")
    if options.json:
        options.json.write_text(json.dumps(results.as_json(options.target), indent=2) + "\n")
    if options.svg:
        options.svg.mkdir(parents=True, exist_ok=True)
        for name, plot in plots.items():
            (options.svg / f"tune-{name}.svg").write_text(plot, "utf-8")
    reached = [results.recommended(options.target, latency) for latency in results.latencies]
    return 0 if any(reached) else 1


def _measure(
    asked: Grid, kill_every: float, with_cost: bool, say: Callable[[str], None]
) -> Results:
    from stress.tune.bed import Bed
    from stress.tune.results import Results

    with Bed() as bed:
        # These need Django's apps.
        from stress.tune.cost import costs
        from stress.tune.trial import PROCESSES, Trial

        cells = []
        for setting in asked.measured:
            for latency in asked.latencies:
                trial = Trial(bed, setting, latency, kill_every=kill_every, seconds=asked.seconds)
                cells.append(trial.run())
                say(
                    f"{setting} at {latency * 1000:g} ms: tasks of lost hosts waited up to "
                    f"{max(cells[-1].host_recovery):.1f} s"
                )
        cost = []
        if with_cost:
            say("heartbeats of an idle pool")
            cost = costs(bed, asked.heartbeats, max(asked.settings).lease)
    return Results(cells, cost, asked.settings, asked.latencies, PROCESSES)


def _made(seconds: float) -> str:
    from stress.rig.postgres import NEWEST

    return (
        f"Measured on {os.cpu_count()} cores ({platform.machine()}), PostgreSQL {NEWEST}, "
        f"Python {platform.python_version()}; {seconds:g} s of load a trial at least."
    )


def _seconds(text: str) -> list[float]:
    return _numbers(text, least=0.01)


def _milliseconds(text: str) -> list[float]:
    return [each / 1000 for each in _numbers(text, least=0.0)]


def _numbers(text: str, *, least: float) -> list[float]:
    try:
        numbers = [float(each) for each in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or not all(least <= number < 1e6 for number in numbers):
        raise argparse.ArgumentTypeError(
            f"{text!r}: give numbers from {least:g}, with commas between them"
        )
    return numbers
