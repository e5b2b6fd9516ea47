"""The evidence, read once and sorted for the questions of the checker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from pool.clock import SECOND
from stress.checker.blows import Blow, Blows
from stress.checker.cancels import Cancels
from stress.checker.failovers import Failovers
from stress.checker.flows import Flows
from stress.checker.records import Record, Span, in_order
from stress.checker.runs import Run, deaths, runs
from stress.checker.sent import sent
from stress.checker.state import FinalState, Kind, Limits, TaskRow


class Evidence:
    """A history and a final state."""

    def __init__(self, records: Iterable[Record], state: FinalState, limits: Limits) -> None:
        self.records = in_order(records)
        self.state = state
        self.limits = limits
        self.failovers = Failovers(self.records, limits)
        self.sent = sent(self.records, state, self.failovers)
        self.runs = runs(self.records)
        self.deaths = deaths(self.records)
        self.blows = Blows(self.records, limits)
        self.cancels = Cancels(self.records, self.failovers)
        self.rows: dict[str, TaskRow] = {row.key: row for row in state.tasks}
        self.by_key: dict[str, list[Run]] = defaultdict(list)
        self._by_pid: dict[int, list[Run]] = defaultdict(list)
        for run in self.runs:
            self.by_key[run.key].append(run)
            self._by_pid[run.pid].append(run)
        self.flows = Flows(self.records, self.cancels, self.by_key)
        self._last = {(run.pid, run.parent): run for run in self.runs}
        self._at_work = {run.death for run in self.runs if run.death is not None}

    def of(self, key: str) -> list[Run]:
        """The runs of a task, in order of their beginning."""
        return self.by_key.get(key, [])

    def in_process(self, pid: int) -> list[Run]:
        """The runs of a process, in order of their beginning."""
        return self._by_pid.get(pid, [])

    def kind(self, key: str) -> Kind:
        return self.sent.kind(key, self.state)

    def ended(self, key: str) -> bool:
        return any(run.returned for run in self.of(key))

    def causes(self, run: Run, until: float | None = None) -> list[Blow]:
        """The blows that may have ended the process or the lease of a run, or may have prevented
        the writing of its outcome.

        If a watcher only saw the end of an idle process, that may be a normal exit. It is no cause.

        until: a moment. By default the last one at which the outcome may still be unwritten.
        """
        if until is None:
            until = run.over + self.limits.unwritten * SECOND
        span = Span(run.began, until)
        at_work = self.ends_later(run) and self._last[run.pid, run.parent] is run
        found = [
            blow
            for blow in self.blows.on(run, span)
            if not blow.slows and (blow.injected or at_work or blow.death in self._at_work)
        ]
        return found or self._unseen_death(run, span)

    def ends_later(self, run: Run) -> bool:
        """Whether the end of a run is that of its transaction, and so later than it says itself. A
        process that died after its last such run may have died before that."""
        kind = self.kind(run.key)
        return run.returned and (kind.atomic or kind.replaced)

    def injected(self, run: Run) -> list[Blow]:
        """As ``causes``, but only the blows that the test dealt from outside."""
        return [blow for blow in self.causes(run) if blow.injected]

    def _unseen_death(self, run: Run, span: Span) -> list[Blow]:
        """If the last run of the same process never ended, the process has died, even if no watcher
        saw it."""
        last = self._last[run.pid, run.parent]
        last_sign = Span(last.seen, last.seen)
        if last is not run and last.how == "open" and last_sign.meets(span):
            return [Blow("death unseen", last_sign, frozenset([run.pid]), injected=False)]
        return []
