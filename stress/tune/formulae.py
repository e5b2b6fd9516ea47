"""What a lease and a heartbeat mean in seconds. The arithmetic is that of the keeper.

All arguments and results are seconds.
"""

from __future__ import annotations

from pool import supervisor

#: Seconds between two looks of a supervisor at its children.
TICK = supervisor.TICK
#: Round trips that a keeper needs to reclaim the tasks of one dead worker.
RETIRE = 6
#: The most round trips of a keeper between two renewals: those for one dead worker, two
#: to look for work, and the renewal itself.
BETWEEN_RENEWALS = RETIRE + 3


def is_valid(lease: float, heartbeat: float) -> bool:
    """Whether a pool accepts the pair. Two renewals may fail before a lease ends."""
    return lease >= 1 and 0 < heartbeat <= lease / 3 + 1e-9


def margin(lease: float) -> float:
    """How long before the end of a lease the pool stops its work."""
    return max(2 * TICK, 0.05 * lease)


def keeper_patience(lease: float, heartbeat: float) -> float:
    """How long a keeper may hang before its supervisor replaces it."""
    return max(2.5, heartbeat + (lease - heartbeat) / 3)


def host_recovery(lease: float, heartbeat: float) -> tuple[float, float]:
    """The shortest and the longest time until another pool takes over from a lost host.

    The last renewal was up to one heartbeat ago. The other keeper looks for ended leases
    once a heartbeat.
    """
    return lease - heartbeat, lease + heartbeat


def reclaiming(processes: int, latency: float) -> float:
    """How long one keeper takes to reclaim from dead processes, one after another.

    latency: of a round trip to the database.
    """
    return RETIRE * processes * latency


def reconnect_wait(lease: float) -> float:
    """The longest wait of a keeper between two tries to reach a lost database."""
    return min(2.0, lease / 4)


def outage_outlived(lease: float, heartbeat: float) -> float:
    """The longest outage of the database that stops no work, whenever it begins.

    In the worst case a renewal was just due, and the next try comes just before the end.
    """
    return max(0.0, lease - heartbeat - margin(lease) - reconnect_wait(lease))


def latency_borne(lease: float, heartbeat: float) -> float:
    """The longest round trip to the database at which no healthy lease runs out."""
    return max(0.0, lease - heartbeat - margin(lease)) / BETWEEN_RENEWALS
