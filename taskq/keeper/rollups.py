"""Writes the figures of a pool to the database, by the minute, and sums up hours.

The workers count on the scoreboard, from the start of the pool on. The keeper writes the
difference between now and the beginning of the minute. The counts at that beginning stand in the
scoreboard's keepsake, so the next keeper goes on where this one died.
"""

from __future__ import annotations

import datetime
import marshal
import time
from collections.abc import Mapping, Sequence

from pool import Scoreboard, clock
from taskq.counted import Sums, counted
from taskq.models.statistics import Step
from taskq.store.refusals import NEVER
from taskq.store.session import StoreSession
from taskq.task.measures import COLUMNS, name_and_queue

#: Seconds between two writes of the minute that is not over.
EVERY = 5.0
#: Seconds between two sums of hours. Each time the last hours are summed up again: the minutes of
#: another pool may come late, after an outage, or the pool may be gone.
HOURS_EVERY = 600.0
HOURS = 3
#: A keeper that starts also sums up what pools before it may have left.
HOURS_AT_FIRST = 48


class Rollups:
    """The keeper's part. due, hours_due: when to write next, by ``pool.clock``. NEVER while no run
    ends: :meth:`tell` ends that.
    """

    def __init__(self, scoreboard: Scoreboard, session: StoreSession, pool: str) -> None:
        self._scoreboard = scoreboard
        self._session = session
        self._pool = pool
        #: What this keeper has written of the minute, and all sums at that time.
        self._written: Sums = {}
        self._sums: Sums | None = None
        #: The last write found nothing new.
        self._quiet = False
        #: Hours with minutes of this pool that are not summed up since they were over.
        self._open: set[int] = set()
        self._back = HOURS_AT_FIRST
        self.due: float = NEVER
        self.hours_due: float = NEVER

    def tell(self) -> None:
        """Runs have ended."""
        now = clock.now()
        if self.due == NEVER:
            self.due = now
        if self.hours_due == NEVER:
            self.hours_due = now + clock.nanoseconds(HOURS_EVERY)

    def write(self, *, last: bool = False) -> None:
        """Write the minute, if it is time. Once it is over, begin the next. last: it is time."""
        if clock.now() < self.due and not last:
            return
        now = int(time.time()) // Step.MINUTE * Step.MINUTE
        sums = counted(self._scoreboard)
        minute, begun = self._load() or self._begin(now, {})
        if now > minute and self._quiet and self._sums is not None:
            minute, begun = self._begin(now, self._sums)  # nothing ended until just now
        changed = {key: _less(row, begun.get(key)) for key, row in sums.items()}
        changed = {key: row for key, row in changed.items() if any(row)}
        news = {key: row for key, row in changed.items() if self._written.get(key) != row}
        if news:
            store = self._session.store().statistics
            store.write_minute(_moment(minute), self._pool, _by_name(news))
            self._open.add(_hour(minute))
        self._written, self._sums, self._quiet = changed, sums, not news
        # If the clock is set back, this minute goes on until the clock has caught up.
        if now > minute:
            self._begin(now, sums)
        self.due = clock.now() + clock.nanoseconds(EVERY) if news else NEVER

    def sum_up_hours(self) -> None:
        """Sum up the last hours, if it is time."""
        if clock.now() < self.hours_due:
            return
        now = _hour(time.time())
        last = range(now - self._back * Step.HOUR, now, Step.HOUR)
        hours = {*last, *(hour for hour in self._open if hour < now)}
        self._session.store().statistics.sum_up_hours(_moment(hour) for hour in sorted(hours))
        self._back = HOURS
        self._open -= hours
        self.hours_due = clock.now() + clock.nanoseconds(HOURS_EVERY) if self._open else NEVER

    def _load(self) -> tuple[int, Sums] | None:
        kept = self._scoreboard.keepsake.read()
        return marshal.loads(kept) if kept else None

    def _begin(self, minute: int, sums: Sums) -> tuple[int, Sums]:
        self._scoreboard.keepsake.write(marshal.dumps((minute, sums)))
        self._written = {}
        return minute, sums


def _hour(seconds: float) -> int:
    return int(seconds) // Step.HOUR * Step.HOUR


def _less(row: Sequence[int], begun: Sequence[int] | None) -> list[int]:
    return [now - then for now, then in zip(row, begun or [0] * COLUMNS, strict=True)]


def _by_name(sums: Mapping[bytes, Sequence[int]]) -> dict[tuple[str, str], Sequence[int]]:
    return {name_and_queue(key): row for key, row in sums.items()}


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
