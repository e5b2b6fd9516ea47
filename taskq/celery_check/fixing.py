"""``--fix``: the edits of the imports, as a difference or written to the files."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

from taskq.celery_check.finding import Edit, Finding


def by_file(findings: Iterable[Finding]) -> dict[str, list[Edit]]:
    """The edits of each file that has any."""
    edits: dict[str, list[Edit]] = {}
    for finding in findings:
        if finding.edits:
            edits.setdefault(finding.path, []).extend(finding.edits)
    return edits


def edited(source: bytes, edits: Sequence[Edit]) -> bytes:
    """The file with these edits, which do not overlap."""
    for edit in sorted(edits, reverse=True):
        source = source[: edit.start] + edit.text + source[edit.end :]
    return source


def difference(path: str, before: bytes, after: bytes) -> str:
    """A patch, as ``git apply`` and ``patch -p1`` take it, without the end of its last line."""
    lines = difflib.unified_diff(
        before.decode(errors="replace").splitlines(keepends=True),
        after.decode(errors="replace").splitlines(keepends=True),
        f"a/{path}",
        f"b/{path}",
    )
    ended = (line if line.endswith("\n") else f"{line}\n" for line in lines)
    return "".join(ended).removesuffix("\n")


def write(root: Path, edits: dict[str, list[Edit]]) -> None:
    """Change the files.

    Raises OSError for a file that cannot be written; those before it are changed.
    """
    for path, of_file in edits.items():
        file = root if root.is_file() else root / path
        file.write_bytes(edited(file.read_bytes(), of_file))
