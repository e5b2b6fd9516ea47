"""The model: hundreds of hosts and tens of thousands of workers on one PostgreSQL, in
simulated time, with the measured costs of real statements."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from stress.model.check import Measured
    from stress.model.costs import Costs
    from stress.model.fleet import Plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = __doc__
    add = parser.add_argument
    add("--hosts", type=_count, default=300, metavar="N", help="a pool each (300)")
    add("--workers", type=_count, default=100, metavar="N", help="of each pool (100)")
    add("--cores", type=_count, default=16, metavar="N", help="of the database server (16)")
    add("--task", type=float, default=1.0, metavar="S", help="how long a task runs (1)")
    add("--rate", type=float, metavar="N", help="tasks a second; default: find the highest")
    add("--lease", type=float, default=30.0, metavar="S", help="(30)")
    add("--heartbeat", type=float, default=10.0, metavar="S", help="(10)")
    add("--round-trip", type=float, default=0.5, metavar="MS", help="to the database (0.5)")
    add("--flush", type=float, default=1.0, metavar="MS", help="of its WAL to its disk (1)")
    add("--seconds", type=float, default=10.0, metavar="S", help="to simulate (10)")
    add(
        "--fleets",
        type=_counts,
        metavar="N,N",
        help="find the highest rate for each number of hosts",
    )
    add(
        "--calibrate",
        type=Path,
        metavar="FILE",
        help="measure the costs here, write them to this file",
    )
    add("--costs", type=Path, metavar="FILE", help="costs that --calibrate wrote")
    add(
        "--check",
        type=Path,
        metavar="FILE",
        help="measure two real pools, write the result to this file",
    )
    add("--json", type=Path, metavar="FILE", help="write the loads to this file")
    add("--svg", type=Path, metavar="DIR", help="write the plots to this folder")


def main(options: argparse.Namespace) -> int:
    """Simulate, and print the limits. Returns 1 if not even a little work fits."""
    from stress.model import costs as cost_files

    console = Console()
    measured: list[Measured] = []
    if options.calibrate or options.check:
        measured = _measure(options.calibrate, options.check)
    costs = cost_files.read(options.costs or options.calibrate)
    console.print(f"costs measured on {costs.made}")

    # These read constants of taskq, which needs Django's apps.
    _set_up()
    from stress.model.fleet import Plan
    from stress.model.limits import idle, load, most
    from stress.model.report import check_table, idle_plot, load_plot, loads_table

    if measured:
        console.print(check_table(measured, costs))
    plan = Plan(
        hosts=options.hosts,
        workers=options.workers,
        cores=options.cores,
        task=options.task,
        rate=options.rate,
        lease=options.lease,
        heartbeat=options.heartbeat,
        round_trip=options.round_trip / 1000,
        flush=options.flush / 1000,
    )
    by_hosts = {}
    for hosts in options.fleets or [options.hosts]:
        fleet = replace(plan, hosts=hosts)
        console.print(_size(fleet, costs, idle(fleet, costs)))
        if options.rate is not None:
            by_hosts[hosts] = [load(fleet, costs, options.seconds)]
        else:
            by_hosts[hosts] = most(fleet, costs, options.seconds)
        console.print(loads_table(f"{hosts} hosts at work", by_hosts[hosts]))
    if options.json:
        found = {hosts: [asdict(one) for one in loads] for hosts, loads in by_hosts.items()}
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    if not all(by_hosts.values()):
        console.print("A fleet of that size leaves no room for work.")
        return 1
    if options.svg:
        options.svg.mkdir(parents=True, exist_ok=True)
        (options.svg / "scaling-idle.svg").write_text(idle_plot(plan, costs), "utf-8")
        (options.svg / "scaling-load.svg").write_text(load_plot(by_hosts), "utf-8")
    return 0


def _measure(calibration: Path | None, check: Path | None) -> list[Measured]:
    """Measure the costs and the real pools on an embedded PostgreSQL, each for its file."""
    from stress.tune.bed import Bed

    with Bed() as bed:
        from stress.model import calibrate, costs
        from stress.model import check as checks

        if calibration:
            costs.write(calibrate.calibrate(bed), calibration)
        if not check:
            return []
        measured = checks.measure(bed)
        checks.record(measured, check)
        return measured


def _set_up() -> None:
    import os

    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stress.project.settings")
    django.setup()


def _size(plan: Plan, costs: Costs, cores: float) -> str:
    processes = plan.hosts * (plan.workers + 1)
    memory = processes * costs.backend_kib / 2**20
    return (
        f"{plan.hosts} hosts of {plan.workers} workers: {processes} connections for the queue "
        f"({memory:.1f} GiB of backends), {plan.hosts * 2 / plan.heartbeat:.1f} heartbeat "
        f"statements a second for {processes} leases; without work {cores:.2f} cores are busy"
    )


def _count(text: str) -> int:
    number = int(text) if text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number from 1")
    return number


def _counts(text: str) -> list[int]:
    return [_count(each) for each in text.split(",")]
