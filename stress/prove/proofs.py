"""The proofs: a protection, the scenario in which it matters, and what the checker must
find when it is taken out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Proof:
    """One proof.

    name: on the command line, and of its sabotage. removed: what is taken out, in words.
    scenario: a function of ``scenarios``. violation: what must be found.
    fast: whether ``--fast`` includes it."""

    name: str
    removed: str
    scenario: str
    violation: str
    fast: bool = False


PROOFS = {
    proof.name: proof
    for proof in [
        Proof("finish-fence", "no fence on finish", "late_finish", "unfenced_finishes"),
        Proof("result-fence", "no fence on results", "late_result", "wrong_results"),
        Proof("result-row", "done without a result", "kept_results", "wrong_results"),
        Proof("finished-fence", "no fence on kept tasks", "late_archived", "wrong_finished"),
        Proof("finished-row", "done and not kept", "kept_tasks", "wrong_finished"),
        Proof("self-fencing", "no self-fencing", "cut_off", "overlaps"),
        Proof("worker-lock", "reclaim without the worker lock", "death_in_a_claim", "stuck"),
        Proof("key-share", "claim without the key-share lock", "death_in_a_claim", "stuck"),
        Proof("loss-count", "loss not counted", "poison", "poison_unquarantined", fast=True),
        Proof("living-leases", "reclaim of live workers", "two_pools", "overlaps"),
        Proof("run-then-finish", "finish before run", "killed_worker", "lost", fast=True),
        Proof(
            "one-transaction",
            "enqueue outside the transaction",
            "broken_transactions",
            "ghosts",
            fast=True,
        ),
        Proof(
            "atomic-effects",
            "effects committed apart from the end",
            "half_shipped",
            "atomic_mismatch",
        ),
        Proof(
            "innocent-neighbors",
            "neighbors charged as well",
            "killer_in_a_batch",
            "innocents_charged",
        ),
        Proof(
            "written-at-the-end",
            "finished runs not written on leaving",
            "replaced_in_a_batch",
            "unexplained_duplicates",
        ),
        Proof(
            "finish-log",
            "a dead worker's finishes not written",
            "killer_in_a_batch",
            "forgotten_finishes",
        ),
        Proof("recall", "recalled tasks started", "long_one_in_a_batch", "unexplained_duplicates"),
        Proof("one-tick", "ticks sent from wherever", "two_tickers", "double_ticks"),
        Proof("join-lock", "unique calls that lock nothing", "joined_call", "missed_calls"),
        Proof("unique-run", "unique keys released on start, all", "calls_of_a_group", "overlaps"),
        Proof("worker-ids", "ids of workers that repeat", "history_goes_back", "overlaps"),
        Proof(
            "missing-workers",
            "no look for workers that are in no table",
            "workers_forgotten",
            "stuck",
        ),
        Proof("parent-death", "children that outlive their supervisor", "no_supervisor", "orphans"),
        Proof(
            "second-release",
            "steps released only before the commit of their parts",
            "two_last_parts",
            "standstills",
        ),
        Proof("one-release", "steps released whatever their state", "long_step", "double_releases"),
        Proof("part-fence", "inputs given by whoever ends late", "late_part", "early_releases"),
        Proof(
            "cancel-mark",
            "a cancel forgotten with its worker",
            "cancelled_and_killed",
            "uncancelled",
        ),
    ]
}
