"""From where a schedule stands to where it has to go: which ticks are to be sent now."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Literal, get_args

from taskq.schedules.timing import Timing

CatchUp = Literal["once", "skip", "all"]
CATCH_UP = get_args(CatchUp)

#: A tick that is sent up to so much later than it was due is in time: for a minute of
#: restarts, of a database that fails over, nothing is missed.
IN_TIME = datetime.timedelta(seconds=60)
#: Ticks of one schedule that one statement sends.
MOST = 100
_INSTANT = datetime.timedelta(microseconds=1)


@dataclass(frozen=True)
class Move:
    """Send these ticks, and look again at the next one (None: there is none).

    missed: ticks came due that are not sent: nobody was there in time.
    """

    ticks: list[datetime.datetime]
    next_at: datetime.datetime | None
    missed: bool = False


def move(
    timing: Timing,
    next_at: datetime.datetime,
    now: datetime.datetime,
    catch_up: CatchUp,
    *,
    most: int = MOST,
) -> Move:
    """What to do about a schedule whose next tick, at ``next_at``, is due.

    most: ticks to send at once; the rest stays due.
    """
    missed = next_at < now - IN_TIME
    if missed and catch_up == "once":
        latest = timing.latest(now)
        ticks = [latest] if latest is not None and latest >= next_at else []
        return Move(ticks, next(timing.after(now), None), bool(ticks) and ticks[0] > next_at)
    missed = missed and catch_up == "skip"
    since = (now - IN_TIME if missed else next_at) - _INSTANT
    due = takewhile(lambda tick: tick <= now, timing.after(since))
    ticks = list(islice(due, most))
    return Move(ticks, next(timing.after(ticks[-1] if ticks else now), None), missed)
