"""Workflows: each step runs once, after what it waits for, and with the right inputs.

The enqueuer notes what each step waits for, and each run notes what it got. A part returns its key.
It notes its end before it returns, and so before any row can say that it is over. So a step that
began before the note of a part was surely released too early.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from stress.checker.evidence import Evidence
from stress.checker.flows import Place
from stress.checker.result import Finding
from stress.checker.runs import Run


def standstills(evidence: Evidence) -> list[Finding]:
    """Steps that still wait, although nothing of what they wait for has failed."""
    found = []
    for key, row in sorted(evidence.rows.items()):
        if row.state == "BLOCKED" and not _waits_for_a_failed_one(evidence, key):
            waits = ", ".join(sorted(row.waits_for)) or "nothing"
            found.append(Finding(f"{key} was left to wait for {waits}", (key,)))
    return found


def _waits_for_a_failed_one(evidence: Evidence, key: str) -> bool:
    seen, left = {key}, [key]
    while left:
        row = evidence.rows.get(left.pop())
        if row is not None and row.state == "FAILED":
            return True
        for part in row.waits_for if row is not None and row.state == "BLOCKED" else ():
            if part not in seen:
                seen.add(part)
                left.append(part)
    return False


def early_releases(evidence: Evidence) -> list[Finding]:
    """Steps that started before a part had ended."""
    found = []
    for run, place in _places(evidence):
        if place.on == "failed" or any(_is_over(evidence, part, run) for part in place.parts):
            continue
        if place.on == "ended" and any(_has_failed(evidence, part, run) for part in place.parts):
            continue
        parts = " or ".join(place.parts)
        found.append(Finding(f"{run.key} started, and {parts} had not ended before", (run.key,)))
    return found


def wrong_errbacks(evidence: Evidence) -> list[Finding]:
    """Steps that wait for a failure, and ran without one."""
    return [
        Finding(f"{run.key} ran, and {' or '.join(place.parts)} had not failed", (run.key,))
        for run, place in _places(evidence)
        if place.on == "failed"
        and not any(_has_failed(evidence, part, run) for part in place.parts)
    ]


def double_releases(evidence: Evidence) -> list[Finding]:
    """Steps that wait for others and ran twice, though nothing had hit the first run."""
    found = []
    for key in sorted(evidence.flows.places):
        for first, again in itertools.pairwise(evidence.of(key)):
            if first.how != "raised" and not evidence.causes(first, until=_latest(first, again)):
                text = f"{key} was released again: in process {first.pid} ({first.how})"
                found.append(Finding(f"{text} and in process {again.pid} ({again.how})", (key,)))
    return found


def _latest(first: Run, again: Run) -> float | None:
    """Until when something that hit the first run explains the second."""
    return None if first.over < again.began else again.began


def wrong_inputs(evidence: Evidence) -> list[Finding]:
    """Steps that got something else than what their parts returned."""
    found = []
    for run in evidence.runs:
        places = evidence.flows.places.get(run.key)
        if places is None or run.got is None:
            continue
        values = [place for place in places if place.value]
        if len(values) != len(run.got):
            text = f"{run.key} got {len(run.got)} inputs, and waits for {len(values)}"
            found.append(Finding(text, (run.key,)))
        for number, (place, got) in enumerate(zip(values, run.got, strict=False)):
            key = got.get("key") if isinstance(got, dict) else got
            gone_on = key is None and place.on == "ended"
            if key not in place.parts and not gone_on:
                text = f"{run.key} got {got!r} as input {number}, not {' or '.join(place.parts)}"
                found.append(Finding(text, (run.key,)))
    return found


def uncancelled(evidence: Evidence) -> list[Finding]:
    """Steps that a step has sent in its place, and that started although the workflow had been
    cancelled before, and they were not in the table then."""
    found = []
    for run in evidence.runs:
        parent = evidence.flows.grown_from.get(run.key)
        cancelled = evidence.cancels.over(parent) if parent is not None else None
        if cancelled is None or evidence.cancels.over(run.key) is not None:
            continue
        if run.began > cancelled["at"]:
            text = f"{run.key} started, and {parent}, which it replaces, had been cancelled before"
            found.append(Finding(text, (run.key,)))
    return found


def _places(evidence: Evidence) -> Iterator[tuple[Run, Place]]:
    for run in evidence.runs:
        for place in evidence.flows.places.get(run.key, ()):
            yield run, place


def _is_over(evidence: Evidence, part: str, run: Run) -> bool:
    return evidence.flows.done_by(part, run.began)


def _has_failed(evidence: Evidence, part: str, run: Run) -> bool:
    """Whether a part may have failed before this run: it is made to, or its workers were lost."""
    row = evidence.rows.get(part)
    if row is not None and row.state == "FAILED":
        return True
    fails = bool(evidence.kind(part).fails)
    return any(
        each.began < run.began and (each.died or each.cut_off or (fails and each.how == "raised"))
        for each in evidence.of(part)
    )
