"""Schedules: whether each tick was sent exactly once."""

from __future__ import annotations

from collections import defaultdict

from stress.checker.evidence import Evidence
from stress.checker.result import Finding
from stress.checker.runs import Run
from stress.checker.state import TaskRow


def lost_ticks(evidence: Evidence) -> list[Finding]:
    """Ticks for which no run and no row shows a task.

    A task of a tick that existed and is gone counts as lost, like any other task.
    """
    found = []
    for kind, schedule in sorted(evidence.state.schedules.items()):
        if schedule.last is None:
            continue
        seen = _sent(evidence, kind)
        first = min([*seen, schedule.last])
        for tick in range(first, schedule.last + 1, schedule.every):
            if tick not in seen:
                found.append(Finding(f"the tick of {kind} at {tick} was never sent"))
    return found


def double_ticks(evidence: Evidence) -> list[Finding]:
    """Ticks that were sent twice, or that lie after the last tick of their schedule."""
    found = []
    for kind, schedule in sorted(evidence.state.schedules.items()):
        for tick, keys in sorted(_sent(evidence, kind).items()):
            # A failover takes back the task and the schedule's move. The tick is then sent again.
            kept = [key for key in keys if not _taken_back(evidence, key)]
            if len(kept) > 1:
                text = f"the tick of {kind} at {tick} was sent {len(keys)} times"
                found.append(Finding(text, tuple(sorted(keys))))
            if schedule.last is None or tick > schedule.last:
                text = f"the tick of {kind} at {tick} was sent, and its schedule did not move on"
                found.append(Finding(text, tuple(sorted(keys))))
    return found


def _taken_back(evidence: Evidence, key: str) -> bool:
    if key in evidence.rows:
        return False
    return any(evidence.failovers.touched(run) for run in evidence.of(key))


def _sent(evidence: Evidence, kind: str) -> dict[int, set[str]]:
    """For each tick of a kind the keys of its tasks that ran or are in the table."""
    found: dict[int, set[str]] = defaultdict(set)
    every: list[Run | TaskRow] = [*evidence.runs, *evidence.state.tasks]
    for each in every:
        if each.scheduled_at is not None and evidence.kind(each.key).name == kind:
            found[each.scheduled_at].add(each.key)
    return found
