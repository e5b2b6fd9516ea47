"""The measured values, the predictions from them, and the best setting for a target."""

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
    worker_recovery: the same for single killed workers.
    false_expiries: leases that ran out although their processes lived and the database
        could be reached. late: warnings about late renewals.
    done: tasks that ended in the trial.
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
    """The costs of an idle pool for the database: its polls and its heartbeats.

    queries, wal_bytes: a second. processes: the number of leases that it renews.
    """

    heartbeat: float
    processes: int
    queries: float
    wal_bytes: float


@dataclass(frozen=True)
class Prospect:
    """What one setting gives. ``measured``: whether the recovery was measured or predicted.

    recovery: the longest wait of the tasks of a lost host.
    sound: no lease of a healthy process ran out, or would by the formula.
    outage: the longest outage of the database that stops no work.
    beats: heartbeat statements of a pool in a second.
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

    processes: how many a trial loses with its hosts.
    """

    cells: list[Cell]
    costs: list[Cost]
    settings: list[Setting]
    latencies: list[float]
    processes: int

    def takeover(self, latency: float) -> float:
        """Seconds of the takeover itself: one lost process after another, then the claim and
        the start. The longest recovery of a killed worker stands for the latter."""
        sound = [cell for cell in self._up_to(latency) if not cell.false_expiries]
        one = max((max(cell.worker_recovery, default=0.0) for cell in sound), default=0.0)
        return one + formulae.reclaiming(self.processes, latency)

    def prospects(self, latency: float) -> list[Prospect]:
        """What each setting gives with this latency, which is one of ``latencies``."""
        return [self._prospect(setting, latency) for setting in self.settings]

    def recommended(self, target: float, latency: float) -> Prospect | None:
        """The best setting that recovers a lost host within ``target`` seconds.

        It has the longest lease that surely fits, which survives the longest outage, and
        the slowest heartbeat, which is the cheapest. None if nothing fits.
        """
        fitting = [
            prospect
            for prospect in self.prospects(latency)
            if prospect.recovery <= target and prospect.sound
        ]
        return max(fitting, key=lambda prospect: prospect.setting, default=None)

    def as_json(self, target: float) -> dict[str, Any]:
        """The content of the ``--json`` file. Keys of values by latency are in ms."""
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
            # A few losses seldom hit the worst moment. So what may happen counts, not only
            # what was measured.
            recovery=max([latest + self.takeover(latency), *seen]),
            measured=bool(seen),
            sound=latency <= borne and not any(cell.false_expiries for cell in cells),
            outage=formulae.outage_outlived(setting.lease, setting.heartbeat),
            beats=2 / setting.heartbeat,
        )
