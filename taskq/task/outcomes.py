"""What comes of one run of a task."""

from __future__ import annotations

import datetime
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """The function returned. ``written``: the row is gone already, with its effects.

    result: what it returned, encoded; None where that is not kept.
    """

    written: bool
    result: str | None = None


DONE = Done(written=False)
DONE_AND_WRITTEN = Done(written=True)


@dataclass(frozen=True, slots=True)
class Retried:
    """To be run again, at a time or after seconds."""

    when: datetime.datetime | None
    delay: float
    error: str
    traceback: str
    kind: str
    exception: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """``kind``: the path of the exception's class. ``exception``: itself, which keeps
    the locals of the run alive, and so only where somebody hears of it."""

    error: str
    traceback: str
    kind: str
    out_of_memory: bool = False
    exception: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Interrupted:
    """An outage of the database ended it: to be run again as one whose worker was lost."""

    error: str
    traceback: str
    kind: str


@dataclass(frozen=True, slots=True)
class Fenced:
    """It was no longer ours when it came to commit: its effects were rolled back."""


Outcome = Done | Retried | Failed | Interrupted | Fenced
