"""The settings to try: which are valid, which are measured, and how long it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stress.tune import formulae

#: Seconds to start the pools of a trial, and to end them.
START, END = 6.0, 1.0
#: About how many round trips to the database the start of a pool takes.
ROUND_TRIPS = 20
#: The least seconds in which heartbeats are counted, the least heartbeats to count, and the
#: seconds after which the server's statistics show everything that an idle session did.
COST_SECONDS, COST_BEATS, SETTLE = 10.0, 3, 11.0


@dataclass(frozen=True, order=True)
class Setting:
    """A lease and a heartbeat, in seconds."""

    lease: float
    heartbeat: float

    def __str__(self) -> str:
        return f"{self.lease:g}/{self.heartbeat:g}"


@dataclass(frozen=True)
class Grid:
    """The settings that the options ask for.

    settings: the valid pairs. skipped: pairs that no pool accepts.
    latencies: round trips to the database, in seconds.
    longest: longer leases are predicted, not measured.
    seconds: the shortest time that a trial loads its pools.
    """

    settings: list[Setting]
    skipped: list[Setting]
    latencies: list[float]
    longest: float
    seconds: float

    @property
    def measured(self) -> list[Setting]:
        return [setting for setting in self.settings if setting.lease <= self.longest]

    @property
    def heartbeats(self) -> list[float]:
        return sorted({setting.heartbeat for setting in self.settings})

    @property
    def duration(self) -> float:
        """About how many seconds all of it takes."""
        trials = sum(
            trial_seconds(setting, latency, self.seconds)
            for setting in self.measured
            for latency in self.latencies
        )
        costs = sum(cost_seconds(heartbeat) + SETTLE + START / 2 for heartbeat in self.heartbeats)
        return trials + costs + SETTLE + cost_seconds(0)


def grid(
    leases: Sequence[float],
    heartbeats: Sequence[float],
    latencies: Sequence[float],
    *,
    longest: float,
    seconds: float,
) -> Grid:
    """All pairs, divided into those that a pool accepts and those that it rejects.

    latencies: in seconds. Raises ValueError when no pair is valid.
    """
    pairs = [Setting(lease, beat) for lease in sorted(leases) for beat in sorted(heartbeats)]
    good = [pair for pair in pairs if formulae.is_valid(pair.lease, pair.heartbeat)]
    if not good:
        raise ValueError(
            "no lease fits a heartbeat: give leases of at least 1 s, and heartbeats of at most "
            "a third of one"
        )
    bad = [pair for pair in pairs if pair not in good]
    return Grid(good, bad, sorted(latencies), longest, seconds)


def trial_seconds(setting: Setting, latency: float, seconds: float) -> float:
    """About how many seconds one trial takes."""
    losing = setting.lease + setting.heartbeat
    start = START + ROUND_TRIPS * latency + setting.heartbeat
    return start + max(seconds, losing) + END


def cost_seconds(heartbeat: float) -> float:
    """How many seconds heartbeats are counted."""
    return max(COST_SECONDS, COST_BEATS * heartbeat)
