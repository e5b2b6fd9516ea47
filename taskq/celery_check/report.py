"""The findings as text: file by file, line by line, and a summary."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from taskq.celery_check.check import Found
from taskq.celery_check.facts.fact import Verdict

_SUMMARY = {
    Verdict.MOVES: "move with their import: --fix changes it",
    Verdict.IDLE: "have nothing to do any more, and may go",
    Verdict.DIFFERS: "move, and mean something else",
    Verdict.REWRITE: "must be written in another way",
}


def lines(found: Found) -> Iterator[str]:
    """The report, line by line."""
    path = None
    for finding in found.findings:
        if finding.path != path:
            path = finding.path
            yield path
        says = f": {finding.fact.says}" if finding.fact.says else ""
        yield f"{finding.line:>6}  {finding.verdict.value:<8} {finding.about}{says}"
    for unreadable in found.unreadable:
        yield f"{unreadable.path}: not read: {unreadable.error}"
    if found.unreadable:
        yield f"Python {platform.python_version()} reads them: use the one that runs the project."
    if found.findings or found.unreadable:
        yield ""
    yield f"{found.files} files of Python were read, and define {found.tasks} tasks of Celery."
    for verdict, meaning in _SUMMARY.items():
        if count := found.count(verdict):
            yield f"{count:>6}  {verdict.value:<8} {meaning}"
    if found.findings and not found.installed:
        yield 'No INSTALLED_APPS has "taskq": add it, and run manage.py migrate.'
    if not found.findings:
        yield "Nothing of Celery was found."
