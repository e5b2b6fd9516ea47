"""``python -m stress explore``: every order of statements.

Two to four actors play workers, keepers, senders and people. They use the real SQL on a few
tasks in a real PostgreSQL. They run statement by statement, in a random order or in every
order in turn, and the invariants are checked after each step.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add(
        "--orders",
        type=int,
        default=1000,
        metavar="N",
        help="how many random orders to try (%(default)s)",
    )
    add("--seed", type=int, default=1, help="seed of the random orders (%(default)s)")
    add(
        "--actors",
        metavar="NAMES",
        help="try all orders of these actors, with commas between them, instead of random "
        "orders; a name may be repeated (see docs/explanation/explore.md)",
    )
    add("--pairs", action="store_true", help="try all orders of any two actors")
    add("--case", type=int, metavar="N", help="only the case with this number, as in a report")
    add("--without", metavar="PROTECTION", help="take this protection out, as `prove` does")
    add(
        "--database-url",
        default="",
        metavar="URL",
        help="an empty PostgreSQL database to use (default: an embedded server)",
    )


def main(options: argparse.Namespace) -> int:
    """The exit code: 0 if nothing was wrong, 1 if something was, 2 for wrong options."""
    from stress.explore.command import explore

    return explore(options)
