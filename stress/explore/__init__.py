"""``python -m stress explore``: every order of statements.

Two to four actors do to a few tasks what workers, keepers, senders and persons do, on the real SQL
in a real PostgreSQL. They go on statement by statement, in an order that is drawn or one of all,
and what must hold is looked at after each step.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add = parser.add_argument
    add("--orders", type=int, default=1000, metavar="N", help="how many to try (%(default)s)")
    add("--seed", type=int, default=1, help="of what is drawn (%(default)s)")
    add(
        "--actors",
        metavar="NAMES",
        help="try all orders of these, comma-separated, in place of those that are drawn; a "
        "name may come twice (see docs/explanation/explore.md)",
    )
    add("--pairs", action="store_true", help="try all orders of any two actors")
    add("--case", type=int, metavar="N", help="only the case of this number, as a report names it")
    add("--without", metavar="PROTECTION", help="take it out, as `prove` does; it is to be found")
    add(
        "--database-url",
        default="",
        metavar="URL",
        help="an empty PostgreSQL database to use (default: a server of our own)",
    )


def main(options: argparse.Namespace) -> int:
    """The exit code: 0 when nothing was wrong, 1 when something was, 2 for wrong options."""
    from stress.explore.command import explore

    return explore(options)
