"""What a fault is: its place in the catalog, and how it is injected."""

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
    """What a fault happens to. The faults of one lane never overlap."""

    POOL = "pool"  # one lane for each pool
    DATABASE = "database"
    LOAD = "load"


class Server(Enum):
    """The database server that a fault needs."""

    ANY = "any, or SQLite"
    POSTGRESQL = "PostgreSQL"
    EMBEDDED = "a PostgreSQL that the run has started, and may break"


class Fault(ABC):
    """One way to break something.

    name: on the command line. row: in the catalog of faults. text: what is done.
    right: what must happen.
    lane: what it happens to. weight: how often it is chosen again, compared with others.
    server: on which database it can be injected.
    needs: what must be built for it. alone: ``all`` does not include it.
    effect: for the checker: "cut" if its victims (or all pools) have no database meanwhile,
        "slow" if the answers of the database are late.
    hits_pool: every process of the pool may die or lose its lease because of it.
    """

    name: ClassVar[str]
    row: ClassVar[int]
    text: ClassVar[str]
    right: ClassVar[str]
    lane: ClassVar[Lane]
    weight: ClassVar[int] = 1
    server: ClassVar[Server] = Server.ANY
    needs: ClassVar[frozenset[Need]] = frozenset()
    alone: ClassVar[bool] = False
    effect: ClassVar[str] = ""
    hits_pool: ClassVar[bool] = False

    def seconds(self, options: Options) -> float:
        """About how many seconds it takes, for the plan."""
        return 0.5

    def applies(self, options: Options) -> str | None:
        """None, or why it cannot be injected with these options on this machine."""
        if self.server is not Server.ANY and options.vendor != "postgresql":
            return "SQLite has no server to lose"
        if self.server is Server.EMBEDDED and not options.own_server:
            return "only an embedded server may be broken: leave --database-url out"
        return self.missing()

    def missing(self) -> str | None:
        """None, or what this machine lacks for it."""
        return None


class PoolFault(Fault):
    """A fault of one pool."""

    lane = Lane.POOL

    @abstractmethod
    def inject(self, scene: Scene, target: Deployment, rng: random.Random) -> None: ...


class SceneFault(Fault):
    """A fault of all pools: of the database, or of the load."""

    lane = Lane.LOAD

    @abstractmethod
    def inject(self, scene: Scene, rng: random.Random) -> None: ...
