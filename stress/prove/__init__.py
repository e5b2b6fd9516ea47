"""``python -m stress prove``: does the checker notice faults?

It takes out one protection of the queue after another, in a real pool on a real database.
The checker must notice. With the protection in, the same scenario must be clean.
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
        help=f"try only this protection; may be given several times ({known})",
    )
    parser.add_argument(
        "--fast", action="store_true", help="try only those that take a few seconds"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=2,
        metavar="N",
        help="trials at a time, of one or two pools each (default: 2)",
    )


def main(options: argparse.Namespace) -> int:
    """The exit code: 0 if each missing protection is noticed and all else is clean."""
    from stress.prove.court import prove

    names = options.only or [
        proof.name for proof in PROOFS.values() if proof.fast or not options.fast
    ]
    return prove([PROOFS[name] for name in names], jobs=options.jobs)
