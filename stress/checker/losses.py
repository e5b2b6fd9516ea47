"""G1, G2, G3, G5, G6: tasks that were lost, that ran although they must not, or that ran again for
no reason, and whether atomic effects are exact."""

from __future__ import annotations

import itertools

from stress.checker.evidence import Evidence
from stress.checker.result import Finding


def lost(evidence: Evidence) -> list[Finding]:
    """Committed tasks that neither ended nor are in the table; commits that are gone."""
    found = []
    for key in sorted(evidence.sent.committed):
        # A unique call may have joined another's task: see unique.missed_calls.
        joins = key in evidence.sent.groups
        if key in evidence.rows or joins or evidence.cancels.may_have_removed(key):
            continue
        if evidence.flows.may_be_dropped(key):
            continue
        if not evidence.ended(key):
            again = f" ({len(evidence.of(key))} runs, none to the end)" if evidence.of(key) else ""
            found.append(Finding(f"{key} was committed, and is nowhere{again}", (key,)))
        elif evidence.kind(key).atomic and not evidence.state.effects.get(key):
            text = f"{key} is atomic and done, and its effect is nowhere"
            found.append(Finding(text, (key,)))
    for key in sorted(evidence.sent.vanished):
        text = f"{key} was said to be committed, and its entry is not there"
        found.append(Finding(text, (key,)))
    return found


def unfenced_finishes(evidence: Evidence) -> list[Finding]:
    """Tasks that are done although every run that ended had lost its lease before.

    If a later run began before this one ended, this one had lost its lease. Its finish must have
    touched no row, and a later run must have finished the task.
    """
    found = []
    for key in sorted(evidence.sent.committed - evidence.rows.keys()):
        every = evidence.of(key)
        if evidence.cancels.may_have_removed(key):
            continue
        if evidence.ended(key) and not any(
            run.returned and all(later.began > run.over for later in every[number + 1 :])
            for number, run in enumerate(every)
        ):
            text = f"{key} is done, but by a run that had lost it to a later one before it ended"
            found.append(Finding(text, (key,)))
    return found


def ghosts(evidence: Evidence) -> list[Finding]:
    """Tasks that ran, or are in the table, although nobody committed them."""
    found, known = [], evidence.sent.known
    for key in sorted(evidence.by_key.keys() | evidence.rows.keys()):
        where = "ran" if key in evidence.by_key else "is in the table"
        if key in evidence.sent.ghosts:
            found.append(Finding(f"{key} {where}, and was never committed", (key,)))
        elif key not in known:
            found.append(Finding(f"{key} {where}, and nobody sent it", (key,)))
    return found


def stuck(evidence: Evidence) -> list[Finding]:
    """Tasks that still wait or run although the pools had time to drain."""
    return [
        Finding(f"{row.key} was left {row.state} (losses {row.losses})", (row.key,))
        for row in evidence.state.tasks
        if row.state not in ("FAILED", "BLOCKED")  # flows.standstills has the latter
    ]


def unexplained_duplicates(evidence: Evidence) -> list[Finding]:
    """Runs that nothing explains, as the run before had ended.

    After a run that ended, another one is allowed only if a blow hit its process while it ran or
    before its outcome was surely written.
    """
    found = []
    for key in sorted(evidence.by_key):
        for first, again in itertools.pairwise(evidence.of(key)):
            if first.returned and not evidence.causes(first):
                text = f"{key} ended in process {first.pid}, which nothing had hit, and was started"
                found.append(Finding(f"{text} again in process {again.pid}", (key,)))
    return found


def atomic_mismatch(evidence: Evidence) -> list[Finding]:
    """More than one effect of an atomic task, or one without its completion."""
    found = []
    for key, count in sorted(evidence.state.effects.items()):
        row = evidence.rows.get(key)
        if count > 1:
            found.append(Finding(f"{key} is atomic, and has {count} effects", (key,)))
        elif count == 1 and row is not None:
            text = f"{key} has its effect, and is still in the table as {row.state}"
            found.append(Finding(text, (key,)))
        elif count == 1 and key in evidence.sent.ghosts:
            found.append(Finding(f"{key} has an effect, and was never committed", (key,)))
    return found
