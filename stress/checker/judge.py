"""The verdict: every question asked of the evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from stress.checker import (
    blame,
    counters,
    finished,
    innocents,
    losses,
    results,
    ticks,
    unique,
    workflows,
)
from stress.checker.again import run_again
from stress.checker.evidence import Evidence
from stress.checker.overlaps import overlaps
from stress.checker.records import Record
from stress.checker.recovery import recovery
from stress.checker.result import VIOLATIONS, Finding, Verdict
from stress.checker.state import FinalState, Limits


def judge(records: Iterable[Record], state: FinalState, limits: Limits | None = None) -> Verdict:
    """The verdict on a run, from its history and what is left of it.

    records: see ``stress.checker``, in any order. limits: what counts as in time; give
        the lease of the pools.

    Raises KeyError for a record without a field that its kind must have.
    """
    evidence = Evidence(records, state, limits or Limits())
    at_once = overlaps(evidence) + unique.overlaps(evidence)
    found: dict[str, Sequence[Finding]] = {
        "lost": losses.lost(evidence),
        "ghosts": losses.ghosts(evidence),
        "overlaps": [each.finding() for each in at_once if not each.allowed],
        "missed_calls": unique.missed_calls(evidence),
        "unexplained_duplicates": losses.unexplained_duplicates(evidence),
        "forgotten_finishes": innocents.forgotten_finishes(evidence),
        "unfenced_finishes": losses.unfenced_finishes(evidence),
        "atomic_mismatch": losses.atomic_mismatch(evidence),
        "innocents_charged": blame.innocents_charged(evidence),
        "innocents_failed": innocents.innocents_failed(evidence),
        "poison_unquarantined": blame.poison_unquarantined(evidence),
        "wrong_outcome": blame.wrong_outcome(evidence),
        "wrong_results": results.wrong_results(evidence),
        "wrong_finished": finished.wrong_finished(evidence),
        "uncancelled": [
            *evidence.cancels.broken(evidence.runs, evidence.state.tasks),
            *workflows.uncancelled(evidence),
        ],
        "stuck": losses.stuck(evidence),
        "standstills": workflows.standstills(evidence),
        "early_releases": workflows.early_releases(evidence),
        "double_releases": workflows.double_releases(evidence),
        "wrong_inputs": workflows.wrong_inputs(evidence),
        "wrong_errbacks": workflows.wrong_errbacks(evidence),
        "lost_ticks": ticks.lost_ticks(evidence),
        "double_ticks": ticks.double_ticks(evidence),
        "counters_wrong": counters.counters_wrong(evidence),
        "orphans": _orphans(state),
        "bad_exits": _bad_exits(evidence),
        "deadlocks": _deadlocks(state),
    }
    return Verdict(
        violations={name: found[name] for name in VIOLATIONS},
        recovery_s=recovery(evidence),
        run_again=run_again(evidence),
        allowed_overlaps=[each.finding() for each in at_once if each.allowed],
        counts=_counts(evidence),
    )


def _orphans(state: FinalState) -> list[Finding]:
    return [
        Finding(f"process {left.pid} outlived its pool: {left.title}") for left in state.left_over
    ]


def _bad_exits(evidence: Evidence) -> list[Finding]:
    found = []
    for record in evidence.records:
        if record["kind"] == "pool-exit" and record["code"] not in record["expected"]:
            right = " or ".join(str(code) for code in record["expected"])
            text = f"pool {record['victim']} ended with code {record['code']}, not with {right}"
            found.append(Finding(text))
    return found


def _deadlocks(state: FinalState) -> list[Finding]:
    return [Finding(f"the database met {state.deadlocks} deadlocks")] if state.deadlocks else []


def _counts(evidence: Evidence) -> dict[str, int]:
    ends = Counter(run.how for run in evidence.runs)
    return {
        "committed": len(evidence.sent.committed),
        "rolled_back": len(evidence.sent.ghosts),
        "undetermined": evidence.sent.unsaid,
        "taken_back": evidence.sent.taken_back,
        "runs": len(evidence.runs),
        "ended": ends["end"],
        "raised": ends["raised"],
        "killed": ends["killed"],
        "open": ends["open"],
        "unexplained_deaths": len(blame.unexplained_deaths(evidence)),
        "fenced_finishes": evidence.state.fenced,
        "kept_tasks": len(evidence.state.finished),
        "steps": len(evidence.sent.committed & evidence.flows.places.keys()),
    }
