"""The deadlines of a child: which one has passed, and what the supervisor does then.

A run has a soft and a hard deadline. A cancelled run has two more. A lease has its end, and a child
that does not beat counts as stuck. All these times stand on the scoreboard.
"""

from __future__ import annotations

from pool.death import Cause
from pool.seat import Seat


def enforce(seat: Seat, now: int) -> None:
    """Kill the child of a seat if a hard deadline has passed; warn it if a soft one has.

    now: on ``pool.clock``, in nanoseconds.
    """
    if seat.verdict is not None:
        return
    # The run is read before its deadlines. If the next run begins in between, its deadlines are
    # not due yet.
    slot, run = seat.slot, seat.run
    if slot.task_id and 0 < slot.hard_deadline <= now:
        seat.condemn_for(run, Cause.TIME_LIMIT)
    elif slot.ending and slot.ending_hard <= now:
        seat.condemn_for(run, Cause.ENDED)
    elif slot.lease_overdue(now):
        seat.condemn(Cause.LEASE_LOST)
    elif seat.out_of_patience(now):
        seat.condemn(Cause.UNRESPONSIVE)
    elif slot.task_id and (deadline := slot.soft_passed(now)):
        seat.warn(run, deadline)
