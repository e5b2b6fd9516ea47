"""A timing whose ticks begin or end at some time."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from taskq.task.timing import Timing

_INSTANT = datetime.timedelta(microseconds=1)


@dataclass(frozen=True)
class LimitedTiming:
    """The ticks of a timing from ``start`` up to ``end``, both included. None is no limit."""

    timing: Timing
    start: datetime.datetime | None = None
    end: datetime.datetime | None = None

    @property
    def text(self) -> str:
        return self.timing.text

    def after(self, moment: datetime.datetime) -> Iterator[datetime.datetime]:
        if self.start is not None and moment < self.start:
            moment = self.start - _INSTANT
        return takewhile(self._not_over, self.timing.after(moment))

    def latest(self, moment: datetime.datetime) -> datetime.datetime | None:
        latest = self.timing.latest(self._up_to(moment))
        return latest if latest is not None and self._begun(latest) else None

    def before(self, moment: datetime.datetime) -> Iterator[datetime.datetime]:
        return takewhile(self._begun, self.timing.before(self._up_to(moment)))

    def _up_to(self, moment: datetime.datetime) -> datetime.datetime:
        return moment if self.end is None else min(moment, self.end)

    def _begun(self, tick: datetime.datetime) -> bool:
        return self.start is None or tick >= self.start

    def _not_over(self, tick: datetime.datetime) -> bool:
        return self.end is None or tick <= self.end
