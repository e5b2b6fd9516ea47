"""A fact: what becomes of one name, option or setting of Celery."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Verdict(Enum):
    """What becomes of a use of Celery."""

    MOVES = "moves"  # as it is, with its import
    IDLE = "idle"  # it is accepted and has nothing to do, so it may go
    DIFFERS = "differs"  # it moves, and means something else
    REWRITE = "rewrite"  # it must be written in another way


class Fact(NamedTuple):
    """The verdict on a name, and what to know of it."""

    verdict: Verdict
    says: str = ""


MOVES = Fact(Verdict.MOVES)

# What is said of several.
WORKER = "workers are taskq_pool's, and cannot be extended: see taskq.signals and the settings"
TESTING = "use taskq.testing.run_all(), or CELERY_TASK_ALWAYS_EAGER (docs/how-to/testing.md)"
NO_BROKER = "there is no broker: remove it with what uses it"
INNER = "it is an inner part of Celery, and there is none such here"


def idle(names: str, says: str) -> dict[str, Fact]:
    return dict.fromkeys(names.split(), Fact(Verdict.IDLE, says))


def differs(names: str, says: str) -> dict[str, Fact]:
    return dict.fromkeys(names.split(), Fact(Verdict.DIFFERS, says))


def rewrite(names: str, says: str) -> dict[str, Fact]:
    return dict.fromkeys(names.split(), Fact(Verdict.REWRITE, says))


def moves(names: str) -> dict[str, Fact]:
    return dict.fromkeys(names.split(), MOVES)
