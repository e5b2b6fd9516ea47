"""Which ticks of a schedule are to be sent now, and where the schedule stands after that."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from itertools import islice, takewhile

from taskq.task.timing import SECOND, CatchUp, Timing

#: A tick counts as sent in time up to so long after it was due. A restart of the pools or a
#: failover of the database takes less than a minute, so neither makes a tick missed.
IN_TIME = datetime.timedelta(seconds=60)
#: The most ticks of one schedule in one statement.
MOST = 100
#: The most missed ticks that ``"all"`` sends: five hours of seconds, or 13 days of minutes.
MOST_IN_ALL = 20_000
_INSTANT = datetime.timedelta(microseconds=1)


@dataclass(frozen=True)
class Move:
    """Send these ticks, and look again at the next one (None: there is none).

    missed: ticks that came due are not sent, because no pool ran in time.
    passed_over: about how many older ticks ``"all"`` does not send.
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
    """What to do with a schedule whose next tick, at ``next_at``, is due.

    most: ticks to send at once; the rest stays due.
    counted: the last move has found that the due ticks are not too many.
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
    """The first of the ticks since ``next_at`` that are sent, and about how many come before it.
    They are estimated, not counted, because they may be those of centuries."""
    if now - next_at < MOST_IN_ALL * SECOND:
        return next_at, 0
    since = takewhile(lambda tick: tick >= next_at, timing.before(now))
    made_up = list(islice(since, MOST_IN_ALL))
    if len(made_up) < MOST_IN_ALL:
        return next_at, 0
    last, first = made_up[0], made_up[-1]
    return first, round((first - next_at) / ((last - first) / (MOST_IN_ALL - 1)))
