"""The one clock of a pool: monotonic, in nanoseconds, and running in suspend.

A lease deadline that stood still while the machine slept would let a woken
worker go on with work that another host has long taken over, so Linux uses
CLOCK_BOOTTIME. Elsewhere the plain monotonic clock is the best there is.
"""

import time

SECOND = 1_000_000_000
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> int:
    """Nanoseconds since some fixed moment, the same in every process of this host."""
    return time.clock_gettime_ns(_CLOCK)


def nanoseconds(seconds: float) -> int:
    return int(seconds * SECOND)
