"""``python -m stress prove``: is the checker worth anything?

Each protection of the queue is taken out in turn, in a real pool on a real database,
and the checker must see it; and with the protection in, the same must be clean.
"""

from __future__ import annotations

import argparse

from stress.prove.proofs import PROOFS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    known = ", ".join(PROOFS)
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        choices=list(PROOFS),
        help=f"only this protection; may be given several times ({known})",
    )
    parser.add_argument(
        "--fast", action="store_true", help="only those that take a few seconds together"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=2,
        metavar="N",
        help="trials at a time; each has a pool or two (default: 2)",
    )


def main(options: argparse.Namespace) -> int:
    """The exit code: 0 when all are caught and all clean runs are clean."""
    from stress.prove.court import prove

    names = options.only or [
        proof.name for proof in PROOFS.values() if proof.fast or not options.fast
    ]
    return prove([PROOFS[name] for name in names], jobs=options.jobs)
