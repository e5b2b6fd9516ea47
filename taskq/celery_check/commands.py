"""The ``celery`` commands in unit files, containers and scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from taskq.celery_check.facts.commands import COMMANDS
from taskq.celery_check.finding import Finding

_NAMES = "|".join(COMMANDS)
#: A command line: the program, its options before the command, the command.
_LINE = re.compile(
    rf"(?<![\w.-])celery[\s\"',\]]+(?:--?[\w-]+(?:[=\s\"',]+[\w.:/@${{}}-]+)?[\s\"',]+)*({_NAMES})\b"
)
#: The longest line that is shown whole.
_SHOWN = 60


def read(path: str, text: str) -> Iterator[Finding]:
    """The lines that start Celery. A comment does not start anything."""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith(("#", "//")) or (found := _LINE.search(line)) is None:
            continue
        shown = stripped if len(stripped) <= _SHOWN else f"{stripped[:_SHOWN]}…"
        yield Finding(path, number, shown, COMMANDS[found[1]])
