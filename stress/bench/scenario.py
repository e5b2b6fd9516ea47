"""What a scenario is: one figure, measured of us, of the limit and of the peers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stress.bench.arena import Arena
from stress.bench.contestants import Contestant


@dataclass(frozen=True)
class Reading:
    """One measurement, and what else it showed, for plots and for the curious reader."""

    value: float
    detail: dict[str, Any] = field(default_factory=dict)


class Scenario(ABC):
    """One row of the table.

    name: as ``--scenario`` takes it. title: for people. unit: of the value. limit_is: what
    the limit is.
    """

    name: str
    title: str
    unit: str
    limit_is: str = ""
    #: What of the details of our own reading the table shows beside the value.
    shows: tuple[str, ...] = ()
    #: The peers of a quick run (None: all), and its rounds (None: as many as any).
    quick_peers: tuple[str, ...] | None = None
    quick_rounds: int | None = None

    @abstractmethod
    def ours(self, arena: Arena) -> Reading:
        """Measure taskq. Raises Unsupported for what it does not have."""

    def limit(self, arena: Arena) -> Reading | None:
        """Measure what is compared with; None where there is nothing."""
        return None

    def beside(self, arena: Arena) -> dict[str, Callable[[], Reading]]:
        """More of taskq to compare with, by name: another door, or an idle pool. Each is
        measured in each round, and stands among the peers."""
        return {}

    def peer(self, arena: Arena, peer: Contestant) -> Reading | None:
        """Measure a peer; None where it takes no part. Raises Unsupported."""
        return None
