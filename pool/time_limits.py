"""The deadlines of a child: which one has passed, and what the supervisor does then.

A run has a soft and a hard deadline. A cancelled run has two more. A lease has its end, and a child
that does not beat counts as stuck. All these times stand on the scoreboard.
"""

from __future__ import annotations

from collections.abc import Sequence

from pool import clock, last_look
from pool.death import Cause
from pool.seat import Seat


def verdict(seat: Seat, now: int) -> Cause | None:
    """Why the child of a seat is to be killed now: the hard deadline that has passed.

    now: on ``pool.clock``, in nanoseconds.
    """
    slot = seat.slot
    if slot.task_id and 0 < slot.hard_deadline <= now:
        return Cause.TIME_LIMIT
    if slot.ending and slot.ending_hard <= now:
        return Cause.ENDED
    if slot.lease_overdue(now):
        return Cause.LEASE_LOST
    return Cause.UNRESPONSIVE if seat.out_of_patience(now) else None


def enforce(seats: Sequence[Seat], tick: float) -> None:
    """Kill the children of seats where a hard deadline has passed; warn where a soft one has.

    tick: seconds between two rounds of the supervisor.
    """
    now = clock.now()
    late = [seat for seat in seats if seat.verdict is None and verdict(seat, now) is not None]
    if late:
        last_look.take(late, now, tick)
        now = clock.now()  # a run may have ended meanwhile: then it is not late any more
    for seat in seats:
        if seat.verdict is None:
            _enforce(seat, now)


def stop(seats: Sequence[Seat], tick: float) -> None:
    """Kill these children, as they were told to stop and did not in time."""
    late = [seat for seat in seats if seat.verdict is None]
    last_look.take(late, clock.now(), tick)
    for seat in late:
        seat.condemn(Cause.STOPPED)


def _enforce(seat: Seat, now: int) -> None:
    # The run is read before its deadlines. If the next run begins in between, its deadlines are
    # not due yet.
    slot, run = seat.slot, seat.run
    cause = verdict(seat, now)
    if cause in (Cause.TIME_LIMIT, Cause.ENDED):
        seat.condemn_for(run, cause)
    elif cause is not None:
        seat.condemn(cause)
    elif slot.task_id and (deadline := slot.soft_passed(now)):
        seat.warn(run, deadline)
