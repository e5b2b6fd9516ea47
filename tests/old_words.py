"""``python -m tests.old_words``: find the words that old_words.toml says to replace."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_suffix(".toml")
#: Where to look, and in which files.
FOLDERS = ("taskq", "pool", "stress", "tests", "docs", ".github")
SUFFIXES = {".py", ".md", ".html", ".toml", ".yml", ".yaml"}


class Found(NamedTuple):
    """An old word: its file, its line, itself, and what to say instead."""

    path: str
    line: int
    word: str
    instead: str


def read() -> dict[str, str]:
    """The list: by the pattern of an old word, what to say instead."""
    instead: dict[str, str] = tomllib.loads(LIST.read_text())["instead"]
    return instead


def pages(root: Path) -> Iterator[Path]:
    """The files below this directory that people read."""
    yield from sorted(root.glob("*.md"))
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SUFFIXES and not path.stem.endswith("old_words"):
                yield path


def search(root: Path, instead: dict[str, str]) -> Iterator[Found]:
    """Each old word below this directory."""
    for path in pages(root):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for pattern, better in instead.items():
                for match in re.finditer(pattern, line, re.IGNORECASE):
                    yield Found(str(path.relative_to(root)), number, match[0], better)


def main() -> int:
    """Print what is found; 1 when there is anything."""
    failed = False
    for found in search(ROOT, read()):
        failed = True
        print(f"{found.path}:{found.line}: {found.word!r}; instead: {found.instead}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
