"""Failovers that took back what had been committed, and what may be missing because of them.

An older copy of the database took its place. The commits between the moment of that copy and the
failover are gone: tasks that were sent, runs that were finished, cancels. The history does not show
exactly which ones. What was committed before the copy was begun is there, and so is what was
committed after the failover.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pool.clock import SECOND
from stress.checker.blows import Blow
from stress.checker.records import Record, Span
from stress.checker.runs import Run
from stress.checker.state import Limits


@dataclass(frozen=True)
class Failover:
    """copied: when the copy was begun. lost: when the newer server was lost. up: when the server
    with the older copy was up."""

    copied: int
    lost: int
    up: int


class Failovers:
    """All of a history."""

    def __init__(self, records: Iterable[Record], limits: Limits) -> None:
        self._limits = limits
        self._all = [
            Failover(int(each["copied"]), int(each["lost"]), int(each["at"]))
            for each in records
            if each["kind"] == "failover"
        ]

    def undone(self, moment: float) -> bool:
        """Whether a commit that was recorded at this moment may have been taken back."""
        return self.meet(Span(moment, moment))

    def touched(self, run: Run) -> bool:
        """Whether a run, its claim or its finish may have been taken back."""
        return self.meet(Span(run.began, run.over))

    def meet(self, span: Span) -> bool:
        """Whether a commit in this span may have been taken back."""
        # A commit and its record are a moment apart.
        apart = self._limits.unwritten * SECOND
        return any(span.meets(Span(each.copied - apart, each.up + apart)) for each in self._all)

    def allow(self, span: Span, blows: Sequence[Blow]) -> bool:
        """Whether two runs of a task are allowed to overlap in this span. They are from the
        failover until the first renewal after the reconnect, and for a tick of the supervisor.

        blows: that hit one of the two meanwhile. If they prevent the renewal, the run stops when
            its lease ends.
        """
        for each in self._all:
            until = self._heard(each)
            if any(not blow.over_all and blow.span.meets(span) for blow in blows):
                until = max(until, each.lost + self._limits.lease * SECOND)
            if each.lost <= span.began and span.ended <= until + self._stopped:
                return True
        return False

    def allow_asleep(self, span: Span, run: Run, asleep: Span) -> bool:
        """Whether a run may overlap with another in this span because its supervisor was stopped,
        and could not end it after a failover. It may until a tick after the supervisor woke.

        The supervisor must have been stopped when it should have acted. And the run must have begun
        before the older copy was up: a later one may have the task by right.

        asleep: when the supervisor was stopped.
        """
        return any(
            run.began <= each.up
            and asleep.meets(Span(each.lost, self._heard(each) + self._stopped))
            and each.lost <= span.began
            and span.ended <= asleep.ended + self._stopped
            for each in self._all
        )

    def _heard(self, failover: Failover) -> float:
        """By when each pool that can reach the database has heard of a failover."""
        return failover.up + self._limits.reconnect * SECOND

    @property
    def _stopped(self) -> float:
        """Nanoseconds in which a supervisor that is awake stops a run."""
        return (self._limits.tick + self._limits.slack) * SECOND
