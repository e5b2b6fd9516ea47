"""The check of a whole project: its modules and its other files, and what was found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from taskq.celery_check import commands, project
from taskq.celery_check.facts import settings
from taskq.celery_check.facts.fact import Verdict
from taskq.celery_check.finding import Finding
from taskq.celery_check.names import Offers
from taskq.celery_check.project import Module, Unreadable
from taskq.celery_check.reader import Reader


@dataclass
class Found:
    """What a project has of Celery.

    tasks: how many tasks it defines. files: how many modules were read. unreadable: those that
    could not be. installed: whether some module names the app "taskq".
    """

    findings: list[Finding] = field(default_factory=list)
    tasks: int = 0
    files: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)
    installed: bool = False

    def count(self, verdict: Verdict) -> int:
        return sum(finding.verdict is verdict for finding in self.findings)

    @property
    def stands_in_the_way(self) -> bool:
        """Whether something cannot move as it is."""
        return self.count(Verdict.REWRITE) > 0


def check(root: Path, in_force: Iterable[str] = ()) -> Found:
    """Read what is below the root. Nothing of it is run or imported.

    in_force: names of Django's settings, of a site that is set up: some may be set in a way that
    cannot be read.
    """
    found, offers = Found(), Offers()
    modules: list[Module] = []
    for each in project.modules(root):
        if isinstance(each, Module):
            modules.append(each)
        else:
            found.unreadable.append(each)
    # Once to learn what the modules offer to each other, and again for what passes it on.
    for _ in range(2):
        for module in modules:
            Reader(module, offers).read()
    for module in modules:
        reader = Reader(module, offers)
        found.findings += reader.read()
        found.tasks += reader.tasks
        found.installed |= reader.names_taskq
    found.files = len(modules)
    read = {finding.about for finding in found.findings}
    for name in in_force:
        if name not in read and (setting := settings.of_django(name)) is not None:
            found.findings.append(Finding("settings in force", 0, name, setting[1]))
    for path, text in project.texts(root):
        found.findings += commands.read(path, text)
    return found
