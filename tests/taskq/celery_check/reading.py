"""A project of a few files, and what the check finds in it."""

from __future__ import annotations

import textwrap
from pathlib import Path

from taskq.celery_check.check import Found, check

#: What most files begin with.
TASKS = "from celery import shared_task\n"


class Project:
    """Files in a directory."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def write(self, path: str, text: str) -> Path:
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return file

    def check(self, *in_force: str) -> Found:
        return check(self.home, in_force)

    def found(self, path: str = "") -> list[str]:
        """All findings but those of imports, or those of one file: line, verdict and name."""
        return [
            f"{each.line} {each.verdict.value} {each.about}"
            for each in self.check().findings
            if not each.edits and each.path.startswith(path)
        ]

    def of(self, text: str) -> list[str]:
        """The findings of one module with this text."""
        self.write("module.py", text)
        return self.found("module.py")
