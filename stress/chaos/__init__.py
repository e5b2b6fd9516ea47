"""Chaos: two pools at work, while every fault of production happens to them."""

from __future__ import annotations

import argparse
import json
import signal

from rich.console import Console

from stress.chaos.options import add_arguments, from_arguments

HELP = "break everything on purpose, and check that nothing is lost (60 s)"

__all__ = ["HELP", "add_arguments", "list_faults", "main"]


def main(given: argparse.Namespace) -> int:
    """Run chaos. Returns 0 when all was right, 1 when it was not, 2 when it could not begin."""
    from stress.chaos.run import Refused, run

    console = Console()
    # As Ctrl-C, so that everything that was started or mounted is removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options, output = from_arguments(given)
        report, progress = run(options, console, keep=output.keep)
    except (ValueError, Refused) as error:
        Console(stderr=True).print(f"chaos: {error}", soft_wrap=True, highlight=False)
        return 2
    report.show(console)
    if output.json:
        output.json.write_text(json.dumps(report.as_json(), indent=2) + "\n")
        console.print(f"the same as JSON: {output.json}")
    if output.html:
        from stress.chaos.page import page

        output.html.write_text(page(report, progress.records))
        console.print(f"with a timeline: {output.html}")
    return 0 if report.ok else 1


def list_faults() -> int:
    """Print every fault: its name, its row in the catalog, what it does and what must happen."""
    from stress.chaos.faults import FAULTS

    for fault in FAULTS.values():
        print(f"{fault.name:18} {fault.row:3}  {fault.text}: {fault.right}")
    return 0
