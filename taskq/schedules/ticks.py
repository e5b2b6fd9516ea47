"""From where a schedule stands to where it has to go: which ticks are to be sent now."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from itertools import islice, takewhile

from taskq.task.timing import SECOND, CatchUp, Timing

#: A tick that is sent up to so much later than it was due is in time: for a minute of
#: restarts, of a database that fails over, nothing is missed.
IN_TIME = datetime.timedelta(seconds=60)
#: Ticks of one schedule that one statement sends.
MOST = 100
#: Ticks of one schedule that are made up for: five hours of seconds, 13 days of minutes.
MOST_IN_ALL = 20_000
_INSTANT = datetime.timedelta(microseconds=1)


@dataclass(frozen=True)
class Move:
    """Send these ticks, and look again at the next one (None: there is none).

    missed: ticks came due that are not sent: nobody was there in time.
    passed_over: about so many came due before those that are made up for, by ``"all"``.
    """

    ticks: list[datetime.datetime]
    next_at: datetime.datetime | None
    missed: bool = False
    passed_over: int = 0


def move(
    timing: Timing,
    next_at: datetime.datetime,
    now: datetime.datetime,
    catch_up: CatchUp,
    *,
    most: int = MOST,
    counted: bool = False,
) -> Move:
    """What to do about a schedule whose next tick, at ``next_at``, is due.

    most: ticks to send at once; the rest stays due.
    counted: they are no more than are made up for, as the last move has found out.
    """
    missed = next_at < now - IN_TIME
    if missed and catch_up == "once":
        latest = timing.latest(now)
        ticks = [latest] if latest is not None and latest >= next_at else []
        return Move(ticks, next(timing.after(now), None), bool(ticks) and ticks[0] > next_at)
    passed_over = 0
    if missed and catch_up == "all" and not counted:
        next_at, passed_over = _made_up_from(timing, next_at, now)
    missed = missed and catch_up == "skip"
    since = (now - IN_TIME if missed else next_at) - _INSTANT
    due = takewhile(lambda tick: tick <= now, timing.after(since))
    ticks = list(islice(due, most))
    following = next(timing.after(ticks[-1] if ticks else now), None)
    return Move(ticks, following, missed, passed_over)


def _made_up_from(
    timing: Timing, next_at: datetime.datetime, now: datetime.datetime
) -> tuple[datetime.datetime, int]:
    """The first of the ticks since ``next_at`` that are made up for, and about how many come
    before it: all of them are not looked at, as they may be those of centuries."""
    if now - next_at < MOST_IN_ALL * SECOND:
        return next_at, 0
    since = takewhile(lambda tick: tick >= next_at, timing.before(now))
    made_up = list(islice(since, MOST_IN_ALL))
    if len(made_up) < MOST_IN_ALL:
        return next_at, 0
    last, first = made_up[0], made_up[-1]
    return first, round((first - next_at) / ((last - first) / (MOST_IN_ALL - 1)))
