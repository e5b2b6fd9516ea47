"""``python -m stress bench``: how fast we are, beside the database itself and our peers.

Nothing is imported here that the peers' environment may lack: their processes run
modules of this package.
"""

from __future__ import annotations

import argparse
from pathlib import Path

ROUNDS, QUICK_ROUNDS = 5, 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the subcommand."""
    add = parser.add_argument
    add("--scenario", action="append", metavar="NAME", help="only this one; may be repeated")
    add("--list", action="store_true", help="name the scenarios and their targets, and end")
    add("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds, below 50 s a scenario")
    add("--rounds", type=_rounds, metavar="N", help=f"how often to measure (default: {ROUNDS})")
    add("--json", type=Path, metavar="FILE", help="write the results, with plots beside it")
    add("--markdown", type=Path, metavar="FILE", help="put the table between this file's marks")
    add("--peer", action="append", metavar="NAME", help="only this peer; may be repeated")
    add("--no-peers", action="store_true", help="only ourselves and the limit")


def main(options: argparse.Namespace) -> int:
    """Measure and print; the exit code is 1 when a target was missed or a measurement of
    ours failed, 2 for wrong names."""
    from stress.bench import command

    return command.run(options)


def _rounds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rounds: give one from 1")
    return int(text)
