"""Unique tasks: the calls of a group share few runs, and yet no call is missed.

"start": a call may join a task of its group that waits. The task sees what the call has changed,
so a run of the group must begin after the commit. The moment of the commit is not known. The moment
just before it is (``committing``), and a run that began earlier has surely missed the call.

"finish": a call may also join a task that runs. So it is only certain that a run ends after the
call. But no two runs of a group go on at once, whatever their keys. That is proven as in
``overlaps``, and a frozen machine is allowed the same.

If a task of a group failed, or is still in the table, its calls need no run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from stress.checker.evidence import Evidence
from stress.checker.overlaps import Overlap, proven_overlap
from stress.checker.result import Finding
from stress.checker.runs import Run


def missed_calls(evidence: Evidence) -> list[Finding]:
    """Committed calls of unique kinds that no run followed."""
    sent = evidence.sent
    runs = _runs(evidence)
    in_table = {sent.groups[key] for key in evidence.rows if key in sent.groups}
    found = []
    for key in sorted(sent.committed & sent.groups.keys()):
        group = sent.groups[key]
        ended = [run for run in runs.get(group, ()) if run.returned]
        if evidence.kind(key).unique == "start":
            since = sent.committing.get(key, sent.called[key])
            followed = any(run.began >= since for run in ended)
            what = "began after its commit"
        else:
            followed = any(run.over >= sent.called[key] for run in ended)
            what = "ended after it"
        if not followed and group not in in_table:
            found.append(Finding(f"{key} was committed, and no run of {group} {what}", (key,)))
    return found


def overlaps(evidence: Evidence) -> list[Overlap]:
    """Two runs at once of a group that is unique until its tasks are finished."""
    found = []
    for group in _runs(evidence, until="finish").values():
        for number, second in enumerate(group):
            for first in group[:number]:
                if first.key == second.key or first.pid == second.pid:
                    continue
                if first.seen > second.began and (
                    overlap := proven_overlap(evidence, first, second)
                ):
                    found.append(overlap)
    return found


def _runs(evidence: Evidence, until: str | None = None) -> Mapping[str, Sequence[Run]]:
    """The runs of each group, in the order in which they began."""
    found: dict[str, list[Run]] = defaultdict(list)
    for run in evidence.runs:
        group = evidence.sent.groups.get(run.key)
        if group is not None and until in (None, evidence.kind(run.key).unique):
            found[group].append(run)
    return found
