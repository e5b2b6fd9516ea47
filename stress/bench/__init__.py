"""``python -m stress bench``: how fast taskq is, beside the database itself and other queues.

This module imports nothing that the environment of the peers may lack, because their
processes run modules of this package.
"""

from __future__ import annotations

import argparse
from pathlib import Path

ROUNDS, QUICK_ROUNDS = 5, 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the subcommand."""
    add = parser.add_argument
    add("--scenario", action="append", metavar="NAME", help="only this one; may be repeated")
    add("--list", action="store_true", help="print the scenarios and their targets, and end")
    add("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds, below 50 s a scenario")
    add("--rounds", type=_rounds, metavar="N", help=f"how often to measure (default: {ROUNDS})")
    add("--json", type=Path, metavar="FILE", help="write the results, and plots beside the file")
    add(
        "--markdown", type=Path, metavar="FILE", help="put the table between the marks of this file"
    )
    add("--peer", action="append", metavar="NAME", help="only this peer; may be repeated")
    add("--no-peers", action="store_true", help="only taskq and the limit")


def main(options: argparse.Namespace) -> int:
    """Measure and print. The exit code is 1 if a target was missed or a measurement of taskq
    failed, 2 for wrong names."""
    from stress.bench import command

    return command.run(options)


def _rounds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rounds: give one from 1")
    return int(text)
