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
        limits = self._limits
        stopped = (limits.tick + limits.slack) * SECOND
        for each in self._all:
            until = each.up + limits.reconnect * SECOND
            if any(not blow.over_all and blow.span.meets(span) for blow in blows):
                until = max(until, each.lost + limits.lease * SECOND)
            if each.lost <= span.began and span.ended <= until + stopped:
                return True
        return False
