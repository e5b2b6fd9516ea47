"""The last look at children that the supervisor is about to kill: where are they?"""

from __future__ import annotations

from collections.abc import Sequence

from pool import clock
from pool.seat import Seat
from pool.stack_file import Ask, wait_for_stacks

#: Seconds that all stacks of one round may take together. A process that does not write its stack
#: by then hangs in the kernel, or has taken the signal for itself.
PATIENCE = 0.05


def take(seats: Sequence[Seat], now: int, tick: float) -> None:
    """Have these children write their stacks, which stay until the box of each is filled.

    No kill comes later for it than it might come anyway: a deadline may be noticed a tick late.

    now: on ``pool.clock``. tick: seconds between two rounds of the supervisor.
    """
    until = now + clock.nanoseconds(PATIENCE)
    for seat in seats:
        if seat.slot.lease_overdue(now):
            until = min(until, seat.slot.lease_deadline + clock.nanoseconds(tick))
    if until <= now:
        return
    for seat in seats:
        seat.note_look()
        seat.last_looked = True
    wait_for_stacks([(seat.slot.stack_file, seat.pid) for seat in seats], Ask.ALL, until)
