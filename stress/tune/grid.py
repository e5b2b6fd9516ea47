"""The settings to try: which are valid, which are measured, and how long that takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stress.tune import formulae

#: Seconds that a trial needs to start its pools, and to end them.
START, END = 6.0, 1.0
#: Round trips to the database that starting a pool takes, about.
ROUND_TRIPS = 20
#: Seconds in which heartbeats are counted, at least; heartbeats that these hold; and the
#: seconds after which a session that sleeps has told the server's statistics all it did.
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
    """What is asked for.

    settings: the valid pairs. skipped: those that no pool would accept.
    latencies: round trips to the database, in seconds.
    longest: leases above it are predicted, not measured.
    seconds: how long each trial loads its pools at least.
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
        """Seconds that all of it will take, about."""
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
    """All pairs, sorted into those that a pool accepts and those that it does not.

    latencies: in seconds. Raises ValueError when no pair is valid.
    """
    pairs = [Setting(lease, beat) for lease in sorted(leases) for beat in sorted(heartbeats)]
    good = [pair for pair in pairs if formulae.is_valid(pair.lease, pair.heartbeat)]
    if not good:
        raise ValueError(
            "no lease and heartbeat fit each other: a lease is at least 1 s, and a heartbeat at "
            "most a third of it"
        )
    bad = [pair for pair in pairs if pair not in good]
    return Grid(good, bad, sorted(latencies), longest, seconds)


def trial_seconds(setting: Setting, latency: float, seconds: float) -> float:
    """How long one trial takes, about."""
    losing = setting.lease + setting.heartbeat
    start = START + ROUND_TRIPS * latency + setting.heartbeat
    return start + max(seconds, losing) + END


def cost_seconds(heartbeat: float) -> float:
    """How long heartbeats are counted, to count some."""
    return max(COST_SECONDS, COST_BEATS * heartbeat)
