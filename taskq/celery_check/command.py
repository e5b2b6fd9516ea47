"""What ``manage.py taskq_celery_check`` and ``python -m taskq.celery_check`` have in common."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from pathlib import Path

from taskq.celery_check import fixing, report
from taskq.celery_check.check import check

HELP = (
    "Read a project's code, of which nothing is run, and say what it has to change to move from "
    "Celery: file by file, line by line. The exit code is 1 when something must be written in "
    "another way, or when an argument was wrong."
)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "path", nargs="?", default=".", help="a directory or a file (default: where you are)"
    )
    parser.add_argument("--fix", action="store_true", help="change the imports that move")
    parser.add_argument(
        "--diff", action="store_true", help="show what --fix would change, and change nothing"
    )


def run(
    path: str, *, fix: bool, diff: bool, say: Callable[[str], object], in_force: Iterable[str] = ()
) -> int:
    """Check, and change the imports if that is wanted. Returns the exit code.

    say: prints a line. in_force: as ``check()`` takes it.

    Raises FileNotFoundError where there is no such path.
    """
    root = Path(path)
    if not root.exists():
        raise FileNotFoundError(f"{path!r} does not exist: give a directory or a file")
    found = check(root, in_force)
    edits = fixing.by_file(found.findings)
    if diff:
        for name, of_file in edits.items():
            before = (root if root.is_file() else root / name).read_bytes()
            say(fixing.difference(name, before, fixing.edited(before, of_file)))
        return int(found.stands_in_the_way)
    for line in report.lines(found):
        say(line)
    if fix:
        fixing.write(root, edits)
        count = sum(map(len, edits.values()))
        say(f"{count} imports were changed in {len(edits)} files.")
    return int(found.stands_in_the_way)
