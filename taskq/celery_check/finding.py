"""A finding: a use of Celery at one place, and what becomes of it."""

from __future__ import annotations

from typing import NamedTuple

from taskq.celery_check.facts.fact import Fact, Verdict


class Edit(NamedTuple):
    """The bytes of a file from ``start`` to ``end`` become ``text``."""

    start: int
    end: int
    text: bytes


class Finding(NamedTuple):
    """A use of Celery.

    path: below the root of what is read. about: the name, option or line. edits: what ``--fix``
    changes for it.
    """

    path: str
    line: int
    about: str
    fact: Fact
    edits: tuple[Edit, ...] = ()

    @property
    def verdict(self) -> Verdict:
        return self.fact.verdict
