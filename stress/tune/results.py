"""What was measured, what is predicted from it, and what follows for a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from stress.tune import formulae
from stress.tune.grid import Setting


@dataclass
class Cell:
    """One trial: a setting under a latency. All times in seconds.

    host_recovery: from the loss of a host to the next start of each task that it ran.
    worker_recovery: the same for single workers that were killed.
    false_expiries: leases that ran out though their processes lived and the database
        could be reached. late: warnings that a renewal came late.
    done: tasks that ended meanwhile.
    """

    setting: Setting
    latency: float
    host_recovery: list[float] = field(default_factory=list)
    worker_recovery: list[float] = field(default_factory=list)
    false_expiries: int = 0
    late: int = 0
    done: int = 0


@dataclass(frozen=True)
class Cost:
    """What an idle pool costs the database: beside the polls, that is its heartbeats.

    queries, wal_bytes: a second. processes: whose leases it renews.
    """

    heartbeat: float
    processes: int
    queries: float
    wal_bytes: float


@dataclass(frozen=True)
class Prospect:
    """What one setting gives. ``measured``: its recovery was, else it is predicted.

    recovery: the longest that a lost host's tasks wait.
    sound: no lease of a healthy process ran out (or would, by formula).
    outage: the longest outage of the database that stops no work.
    beats: heartbeat statements a second and a pool.
    """

    setting: Setting
    recovery: float
    measured: bool
    sound: bool
    outage: float
    beats: float


@dataclass
class Results:
    """A whole run of the tuner.

    processes: how many were lost with the hosts of a trial.
    """

    cells: list[Cell]
    costs: list[Cost]
    settings: list[Setting]
    latencies: list[float]
    processes: int

    def takeover(self, latency: float) -> float:
        """How long taking over itself takes: each lost process's lease one by one, then
        claiming and starting, for which a killed worker's longest recovery stands."""
        sound = [cell for cell in self._up_to(latency) if not cell.false_expiries]
        one = max((max(cell.worker_recovery, default=0.0) for cell in sound), default=0.0)
        return one + formulae.reclaiming(self.processes, latency)

    def prospects(self, latency: float) -> list[Prospect]:
        """Each setting's, in order, for a database that far away (one of ``latencies``)."""
        return [self._prospect(setting, latency) for setting in self.settings]

    def recommended(self, target: float, latency: float) -> Prospect | None:
        """The best for recovering a lost host within so many seconds.

        The longest lease that is sure to fit, as it outlives the longest outage; of its
        heartbeats the slowest, as it is the cheapest. None where nothing fits.
        """
        fitting = [
            prospect
            for prospect in self.prospects(latency)
            if prospect.recovery <= target and prospect.sound
        ]
        return max(fitting, key=lambda prospect: prospect.setting, default=None)

    def as_json(self, target: float) -> dict[str, Any]:
        """What ``--json`` writes; what depends on the latency is keyed by it, in ms."""
        by_latency = {f"{latency * 1000:g}": latency for latency in self.latencies}
        best = {key: self.recommended(target, latency) for key, latency in by_latency.items()}
        return {
            "target_s": target,
            "recommended": {key: asdict(one) if one else None for key, one in best.items()},
            "takeover_s": {key: self.takeover(latency) for key, latency in by_latency.items()},
            "cells": [asdict(cell) for cell in self.cells],
            "costs": [asdict(cost) for cost in self.costs],
            "prospects": {
                key: [asdict(one) for one in self.prospects(latency)]
                for key, latency in by_latency.items()
            },
        }

    def _up_to(self, latency: float) -> list[Cell]:
        return [cell for cell in self.cells if cell.latency <= latency]

    def _prospect(self, setting: Setting, latency: float) -> Prospect:
        cells = [cell for cell in self._up_to(latency) if cell.setting == setting]
        seen: Sequence[float] = [each for cell in cells for each in cell.host_recovery]
        _, latest = formulae.host_recovery(setting.lease, setting.heartbeat)
        borne = formulae.latency_borne(setting.lease, setting.heartbeat)
        return Prospect(
            setting,
            # A few losses seldom hit the worst moment: what may happen counts, not only
            # what did.
            recovery=max([latest + self.takeover(latency), *seen]),
            measured=bool(seen),
            sound=latency <= borne and not any(cell.false_expiries for cell in cells),
            outage=formulae.outage_outlived(setting.lease, setting.heartbeat),
            beats=2 / setting.heartbeat,
        )
