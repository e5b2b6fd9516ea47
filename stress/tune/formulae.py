"""What lease and heartbeat mean in seconds: the arithmetic of ``taskq.keeper.keeper``.

All arguments and results are seconds.
"""

from __future__ import annotations

from pool.supervisor import TICK

#: Round trips in which a keeper reclaims what one dead worker held.
RETIRE = 6
#: Those that it may make between two renewals, at most: one such, two to look around, and
#: the renewal itself.
BETWEEN_RENEWALS = RETIRE + 3


def is_valid(lease: float, heartbeat: float) -> bool:
    """Whether a pool accepts the pair: two renewals may fail before a lease ends."""
    return lease >= 1 and 0 < heartbeat <= lease / 3 + 1e-9


def margin(lease: float) -> float:
    """How long before the end of a lease in the database its work is stopped."""
    return max(2 * TICK, 0.05 * lease)


def keeper_patience(lease: float, heartbeat: float) -> float:
    """How long a keeper may stand still before its supervisor replaces it."""
    return max(2.5, heartbeat + (lease - heartbeat) / 3)


def host_recovery(lease: float, heartbeat: float) -> tuple[float, float]:
    """The soonest and the latest that another pool takes over from a host that is gone.

    Its last renewal was up to a heartbeat ago, and the other keeper looks for leases
    that ran out once a heartbeat.
    """
    return lease - heartbeat, lease + heartbeat


def reclaiming(processes: int, latency: float) -> float:
    """How long one keeper takes to reclaim from so many dead processes, one by one.

    latency: of a round trip to the database.
    """
    return RETIRE * processes * latency


def reconnect_wait(lease: float) -> float:
    """The longest that a keeper waits before it tries a lost database again."""
    return min(2.0, lease / 4)


def outage_outlived(lease: float, heartbeat: float) -> float:
    """The longest outage of the database that stops no work, whenever it begins.

    At worst a renewal was just due, and the next try comes just before the end.
    """
    return max(0.0, lease - heartbeat - margin(lease) - reconnect_wait(lease))


def latency_borne(lease: float, heartbeat: float) -> float:
    """The longest round trip to the database with which no healthy lease runs out."""
    return max(0.0, lease - heartbeat - margin(lease)) / BETWEEN_RENEWALS
