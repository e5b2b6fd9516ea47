"""What a fault is: its place in the catalogue, and how it is injected."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from stress.chaos.needs import Need
from stress.chaos.options import Options

if TYPE_CHECKING:
    from stress.chaos.deployment import Deployment
    from stress.chaos.scene import Scene


class Lane(Enum):
    """What a fault happens to. Those of one lane come one after another."""

    POOL = "pool"  # a lane for each pool
    DATABASE = "database"
    LOAD = "load"


class Fault(ABC):
    """One way to break something.

    name: on the command line. row: in the catalogue of faults. text: what is done.
    right: what must come of it.
    lane: what it happens to. weight: how often it is drawn again, once all have come.
    needs: what has to be built for it. alone: not part of ``all``.
    effect: what the checker should know of it: "cut" when its victims (or all) have no
        database meanwhile, "slow" when its answers are late.
    hits_pool: whoever is in the pool may die or lose its lease of it.
    """

    name: ClassVar[str]
    row: ClassVar[int]
    text: ClassVar[str]
    right: ClassVar[str]
    lane: ClassVar[Lane]
    weight: ClassVar[int] = 1
    needs: ClassVar[frozenset[Need]] = frozenset()
    alone: ClassVar[bool] = False
    effect: ClassVar[str] = ""
    hits_pool: ClassVar[bool] = False

    def seconds(self, options: Options) -> float:
        """How long it takes, about: for the plan."""
        return 0.5

    def applies(self, options: Options) -> str | None:
        """None, or the reason why it cannot be injected in such a run on this machine."""
        return None


class PoolFault(Fault):
    """Happens to one pool."""

    lane = Lane.POOL

    @abstractmethod
    def inject(self, scene: Scene, target: Deployment, rng: random.Random) -> None: ...


class SceneFault(Fault):
    """Happens to all: the database, or the load."""

    lane = Lane.LOAD

    @abstractmethod
    def inject(self, scene: Scene, rng: random.Random) -> None: ...


def needs_postgresql(options: Options) -> str | None:
    return None if options.vendor == "postgresql" else "SQLite has no server to lose"


def needs_own_server(options: Options) -> str | None:
    if reason := needs_postgresql(options):
        return reason
    return None if options.own_server else "the server at that URL is not ours to break"
