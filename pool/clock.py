"""The one clock of a pool: monotonic, in nanoseconds, and running while the machine is suspended.

The deadline of a lease must pass while the machine sleeps. Otherwise a worker could go on, after
the wake-up, with work that another host has taken over. So Linux uses CLOCK_BOOTTIME. Other
systems have only the plain monotonic clock.
"""

import time

SECOND = 1_000_000_000
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> int:
    """Nanoseconds since a fixed moment. All processes of this host share that moment."""
    return time.clock_gettime_ns(_CLOCK)


def nanoseconds(seconds: float) -> int:
    return int(seconds * SECOND)
