"""Each protection, and how it is taken out.

This is the one place in stress that reaches inside taskq and pool: what is proven
here is that the checker sees when they are broken. Each sabotage is applied to the
processes of a pool (or to an enqueuer) and to nothing on disk. One whose target has
changed its shape fails loudly, rather than leave the protection in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any

from pool import Child, kernel
from pool.finish_log import FinishLog
from pool.scoreboard import Slot
from taskq.outbox import enqueue as outbox_enqueue
from taskq.outbox.calls import Sent
from taskq.sql.postgresql import leases, schedules, tasks, unique
from taskq.task.claimed import Claimed
from taskq.task.outcomes import Outcome
from taskq.task.registry import Definition
from taskq.worker import executor
from taskq.worker.recall import Recall
from taskq.worker.worker import Worker


class Misfit(Exception):
    """What was to be taken out is not there."""


def _swap(module: ModuleType, given: str, *statements: str, instead: str = "") -> None:
    """Put something else (nothing) in place of a part of each of these statements."""
    for statement in statements:
        text: str = getattr(module, statement)
        setattr(module, statement, _swapped(statement, text, given, instead))


def _swapped(statement: str, text: str, given: str, instead: str = "") -> str:
    if given not in text:
        raise Misfit(f"{statement} has no {given!r} any more: adapt stress/prove/sabotage.py")
    return text.replace(given, instead)


#: What a finish asks of the row that it removes.
_HELD = "AND attempt = %(attempt)s AND worker_id = %(worker)s AND state + 0 = 1"

#: What RECLAIM charges a task with.
_CHARGED = "CASE WHEN held.blamed AND NOT held.cancelled THEN %(charge)s ELSE 0 END"


def no_fence_on_finish() -> None:
    """A finish removes the row, whoever holds it by now."""
    _swap(tasks, _HELD, "FINISH", "FINISH_ONE")


def no_fence_on_results() -> None:
    """Who is done writes its result, whoever holds the task by now."""
    (text,) = tasks.KEEP
    text = _swapped("KEEP", text, _HELD)
    # Whose row is gone has no name, and a result without one is refused: by luck.
    who = tasks._WHO
    tasks.KEEP = (_swapped("KEEP", text, who, f"coalesce({who}, 'gone')"),)


def no_result_row() -> None:
    """A task that keeps its result is removed like any other."""
    (text,) = tasks.KEEP
    removal, insert, _ = text.partition("INSERT INTO taskq_result")
    if not insert:
        raise Misfit("KEEP inserts nothing any more: adapt stress/prove/sabotage.py")
    tasks.KEEP = (f"{removal} SELECT id FROM done",)


def no_self_fencing() -> None:
    """Neither the supervisor nor the worker minds when the lease ends."""
    Slot.lease_overdue = lambda self, now: False  # type: ignore[method-assign]
    Slot.lease_is_good = lambda self, now: self.held_lease() != 0  # type: ignore[method-assign]


def no_worker_lock() -> None:
    """Who reclaims does not lock the worker's row before it looks for its tasks."""
    _swap(leases, " FOR UPDATE", "LOCK_WORKER")
    _swap(leases, "FOR UPDATE SKIP LOCKED", "LOCK_EXPIRED_WORKER")


def no_key_share() -> None:
    """A claim does not hold its worker's row against removal."""
    _swap(tasks, "FOR KEY SHARE", "CLAIM", "CLAIM_FIRST")


def no_loss_counted() -> None:
    """A task that took its worker down is given back as if nothing had been."""
    _swap(leases, _CHARGED, "RECLAIM", instead="0")


def reclaim_of_the_living() -> None:
    """Leases are reclaimed whether they ran out or not."""
    _swap(leases, "WHERE lease_expires_at <= clock_timestamp()", "EXPIRED")
    _swap(leases, "AND lease_expires_at <= clock_timestamp()", "LOCK_EXPIRED_WORKER")


def finish_before_run() -> None:
    """The row is removed first, as by queues that acknowledge early."""
    execute = Worker.execute

    def finish_and_execute(
        self: Worker, task: Claimed, definition: Definition, first: Sequence[object] = ()
    ) -> Outcome:
        self.recorder.remove(task)
        return execute(self, task, definition, first)

    Worker.execute = finish_and_execute  # type: ignore[method-assign]


def enqueue_outside_the_transaction() -> None:
    """The row is written at once, on a connection of its own."""
    enqueue = outbox_enqueue.enqueue

    def enqueue_at_once(*args: Any, **options: Any) -> Sent:
        with ThreadPoolExecutor(1) as other_thread:
            return other_thread.submit(enqueue, *args, **options).result()

    outbox_enqueue.enqueue = enqueue_at_once


def effects_apart() -> None:
    """An atomic task's effects are committed as they are made, and its end after them."""
    setattr(executor, "transaction", _NoTransaction)  # noqa: B010  it is an import there


class _NoTransaction:
    @staticmethod
    def atomic(using: str) -> AbstractContextManager[None]:
        return nullcontext()


def neighbours_charged() -> None:
    """All that a dead worker held is charged, not only what it ran."""
    _swap(leases, _CHARGED, "RECLAIM", instead="%(charge)s")


def no_mark_of_a_cancel() -> None:
    """A cancelled task whose worker dies is taken back like any other."""
    _swap(leases, "cancelled_at IS NOT NULL OR", "RECLAIM")


def unwritten_at_the_end() -> None:
    """A worker that leaves does not write what it has finished, nor does its keeper."""
    Worker.leave = lambda self: None  # type: ignore[method-assign]
    no_finish_log()


def no_finish_log() -> None:
    """Who buries a worker does not read what it had done."""
    FinishLog.under = lambda self, lease: []  # type: ignore[method-assign]


def deaf_to_recalls() -> None:
    """A worker starts what it holds, though the keeper has given it back meanwhile."""
    Recall.pending = False  # type: ignore[assignment, method-assign]


def ticks_from_anywhere() -> None:
    """A schedule is moved on, and its tick sent, from wherever it is by now."""
    (text,) = schedules.TICK
    only_from = "stand.next_at IS NOT DISTINCT FROM move.expected AND"
    schedules.TICK = (_swapped("TICK", text, only_from),)


def no_join_lock() -> None:
    """A call joins a unique task that waits, and does not keep it from starting."""
    _swap(unique, "FOR KEY SHARE", "JOIN")


def key_released_on_start() -> None:
    """A unique key is free when its task starts, also where it is to be kept until the end."""
    kept = "CASE WHEN task.unique_until = 'finish'"
    _swap(tasks, kept, "CLAIM", "CLAIM_FIRST", instead="CASE WHEN false")


def ids_that_are_counted() -> None:
    """Ids of workers are counted in the database, and so go back with it."""
    # By name: whichever process of a pool is the first to ask.
    counted = """SELECT (
        SELECT coalesce(max(id), 1000 * length(process.name)) + 1
        FROM taskq_worker AS other WHERE other.name = process.name
    ), %(pool)s"""
    _swap(leases, "SELECT id, %(pool)s", "GIVE", instead=counted)


def missing_workers_stay_so() -> None:
    """Nobody puts back the workers that hold tasks and are in no table."""
    _swap(leases, "WHERE id IS NOT NULL", "RESTORE_WORKERS", instead="WHERE false")


def children_stay() -> None:
    """Children do not notice that their supervisor is gone."""
    kernel.die_with_parent = lambda parent: True
    Child._end_with = lambda self, lifeline: None  # type: ignore[method-assign]


#: By the name of the proof.
SABOTAGES: dict[str, Callable[[], None]] = {
    "finish-fence": no_fence_on_finish,
    "result-fence": no_fence_on_results,
    "result-row": no_result_row,
    "self-fencing": no_self_fencing,
    "worker-lock": no_worker_lock,
    "key-share": no_key_share,
    "loss-count": no_loss_counted,
    "living-leases": reclaim_of_the_living,
    "run-then-finish": finish_before_run,
    "one-transaction": enqueue_outside_the_transaction,
    "atomic-effects": effects_apart,
    "innocent-neighbours": neighbours_charged,
    "written-at-the-end": unwritten_at_the_end,
    "finish-log": no_finish_log,
    "recall": deaf_to_recalls,
    "one-tick": ticks_from_anywhere,
    "join-lock": no_join_lock,
    "unique-run": key_released_on_start,
    "worker-ids": ids_that_are_counted,
    "missing-workers": missing_workers_stay_so,
    "parent-death": children_stay,
    "cancel-mark": no_mark_of_a_cancel,
}
