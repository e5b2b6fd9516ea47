"""Each protection, and how it is taken out.

This module reaches inside taskq and pool, to prove that the checker notices when they are
broken. A sabotage changes the processes of a pool or an enqueuer, and nothing on disk. If
the code that it changes looks different by now, it fails instead of doing nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any

from pool import Child, kernel
from pool.finish_log import FinishLog
from pool.slot import Slot
from taskq.outbox import enqueue as outbox_enqueue
from taskq.outbox.calls import Sent
from taskq.sql.postgresql import claims, leases, schedules, tasks, unique, workflows
from taskq.store import endings
from taskq.task.claimed import Claimed
from taskq.task.outcomes import Outcome
from taskq.task.registry import Definition
from taskq.worker import executor
from taskq.worker.batch import Batch
from taskq.worker.recall import Recall
from taskq.worker.worker import Worker


class Misfit(Exception):
    """The code to take out is not there."""


def _swap(module: ModuleType, given: str, *statements: str, instead: str = "") -> None:
    """Replace a part of each of these statements, by nothing if ``instead`` is empty.

    A statement is a text, or the only text of a tuple.
    """
    for statement in statements:
        found: str | tuple[str] = getattr(module, statement)
        if isinstance(found, str):
            setattr(module, statement, _swapped(statement, found, given, instead))
        else:
            (text,) = found
            setattr(module, statement, (_swapped(statement, text, given, instead),))


def _swapped(statement: str, text: str, given: str, instead: str = "") -> str:
    if given not in text:
        raise Misfit(f"{statement} has no {given!r} any more: adapt stress/prove/sabotage.py")
    return text.replace(given, instead)


#: The condition of a finish on the row that it removes.
_HELD = "AND attempt = %(attempt)s AND worker_id = %(worker)s AND state + 0 = 1"

#: The losses that RECLAIM charges to a task.
_CHARGED = "CASE WHEN held.blamed AND NOT held.cancelled THEN %(charge)s ELSE 0 END"


def no_fence_on_finish() -> None:
    """A finish removes the row even if another worker holds it by now."""
    _swap(tasks, _HELD, "FINISH", "FINISH_ONE")


def no_fence_on_results() -> None:
    """A finish writes its result even if another worker holds the task by now."""
    _no_fence("KEEP", "KEEP_ONE")


def no_fence_on_kept_tasks() -> None:
    """The same of a task that is kept when it is done."""
    _no_fence("ARCHIVE", "ARCHIVE_ONE")


def _no_fence(*statements: str) -> None:
    _swap(tasks, _HELD, *statements)
    # Without its row a worker has no name, and what is kept without a name would be refused.
    _swap(tasks, tasks._WHO, *statements, instead=f"coalesce({tasks._WHO}, 'gone')")


def no_finished_row() -> None:
    """A task that is kept is removed, and no row says that it has finished."""
    kept = "FROM ended WHERE lifetime IS NOT NULL"
    _swap(
        tasks, kept, "ARCHIVE", "ARCHIVE_ONE", "PASS", "PASS_ONE", instead="FROM ended WHERE false"
    )


def no_result_row() -> None:
    """A task that keeps its result is removed like any other."""
    for name in "KEEP", "KEEP_ONE":
        (text,) = getattr(tasks, name)
        removal, insert, _ = text.partition("INSERT INTO taskq_result")
        if not insert:
            raise Misfit(f"{name} inserts nothing any more: adapt stress/prove/sabotage.py")
        setattr(tasks, name, (f"{removal} SELECT id FROM done",))


def no_self_fencing() -> None:
    """Neither the supervisor nor the worker reacts when the lease ends."""
    Slot.lease_overdue = lambda self, now: False  # type: ignore[method-assign]
    Slot.lease_is_good = lambda self, now: self.held_lease() != 0  # type: ignore[method-assign]


def no_worker_lock() -> None:
    """Reclaiming does not lock the row of the worker before it looks for its tasks."""
    _swap(leases, " FOR UPDATE", "LOCK_WORKER")
    _swap(leases, "FOR UPDATE SKIP LOCKED", "LOCK_EXPIRED_WORKER")


def no_key_share() -> None:
    """A claim does not protect the row of its worker from removal."""
    _swap(claims, "FOR KEY SHARE", "CLAIM", "CLAIM_FIRST")


def no_loss_counted() -> None:
    """A task that killed its worker is given back without a loss."""
    _swap(leases, _CHARGED, "RECLAIM", instead="0")


def reclaim_of_the_living() -> None:
    """Leases are reclaimed even if they have not run out."""
    _swap(leases, "WHERE lease_expires_at <= clock_timestamp()", "EXPIRED", "RENEW")
    _swap(leases, "AND lease_expires_at <= clock_timestamp()", "LOCK_EXPIRED_WORKER")


def finish_before_run() -> None:
    """The row is removed before the run, as in queues that acknowledge early."""
    execute = Worker.execute

    def finish_and_execute(
        self: Worker, task: Claimed, definition: Definition, first: Sequence[object] = ()
    ) -> Outcome:
        self.writer.end(endings.finish(task.run), task.name)
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
    """The effects of an atomic task are committed one by one, before its end."""
    setattr(executor, "transaction", _NoTransaction)  # noqa: B010  it is an import there


class _NoTransaction:
    @staticmethod
    def atomic(using: str) -> AbstractContextManager[None]:
        return nullcontext()


def neighbors_charged() -> None:
    """All tasks of a dead worker are charged a loss, not only the one that it ran."""
    _swap(leases, _CHARGED, "RECLAIM", instead="%(charge)s")


def no_mark_of_a_cancel() -> None:
    """A cancelled task whose worker dies is reclaimed like any other."""
    _swap(leases, "cancelled_at IS NOT NULL OR", "RECLAIM")


def unwritten_at_the_end() -> None:
    """Neither a leaving worker nor its keeper writes what the worker has finished."""
    Worker.leave = lambda self: None  # type: ignore[method-assign]
    no_finish_log()


def no_finish_log() -> None:
    """The keeper does not read what a dead worker had finished."""
    FinishLog.under = lambda self, lease: []  # type: ignore[method-assign]


def deaf_to_recalls() -> None:
    """A worker starts tasks that it holds, although the keeper has given them back."""
    Recall.pending = False  # type: ignore[assignment, method-assign]


def ticks_from_anywhere() -> None:
    """A tick is sent and its schedule moved on even if another keeper has done so."""
    _swap(schedules, "stand.next_at IS NOT DISTINCT FROM move.expected AND", "TICK")


def no_join_lock() -> None:
    """A call joins a waiting unique task without keeping it from starting."""
    _swap(unique, "FOR KEY SHARE", "JOIN")


def key_released_on_start() -> None:
    """A unique key is released when its task starts, even if it should be kept until the end."""
    kept = "CASE WHEN task.unique_until = 'finish'"
    _swap(claims, kept, "CLAIM", "CLAIM_FIRST", instead="CASE WHEN false")


def ids_that_are_counted() -> None:
    """Ids of workers are counted in the database, so they repeat after a failover."""
    # Counted by name, so that it does not matter which process asks first.
    counted = """SELECT (
        SELECT coalesce(max(id), 1000 * length(process.name)) + 1
        FROM taskq_worker AS other WHERE other.name = process.name
    ), %(pool)s"""
    _swap(leases, "SELECT id, %(pool)s", "GIVE", instead=counted)


def missing_workers_stay_so() -> None:
    """Workers that hold tasks but have no row are not put back."""
    _swap(leases, "WHERE id IS NOT NULL", "RESTORE_WORKERS", instead="WHERE false")


def only_the_first_release() -> None:
    """Steps are released in the transactions of their parts, and never again: as if each counted
    what is left there."""
    Batch.note_passed = lambda self, id: None  # type: ignore[method-assign]
    written = Batch._written

    def forget_them(self: Batch, ours: set[int], count: int) -> None:
        written(self, ours, count)
        self._parts = self._parts._replace(passed=[])

    Batch._written = forget_them  # type: ignore[method-assign]
    setattr(workflows, "RELEASE_LEFT", ())  # noqa: B010  it has one statement there


def released_in_any_state() -> None:
    """A release looks neither at the state of a step nor for its edges to be still there."""
    for name in "RELEASE", "RELEASE_LEFT":
        (text,) = getattr(workflows, name)
        text = _swapped(name, text, "AND state + 0 = 3 AND", "AND")
        text = _swapped(name, text, "ORDER BY id FOR UPDATE SKIP LOCKED")
        taken = """    DELETE FROM taskq_edge AS edge USING step WHERE edge.step_id = step.id
    RETURNING edge.step_id, edge.place, edge.state, edge.value
"""
        left = "    SELECT edge.* FROM taskq_edge AS edge JOIN step ON edge.step_id = step.id\n"
        text = _swapped(name, text, taken, left)
        setattr(workflows, name, (text,))


def no_fence_on_parts() -> None:
    """The end of a part gives its value to those that wait, even if another worker holds it."""
    told = "FROM done WHERE edge.part_id = done.id AND"
    _swap(tasks, told, "PASS", instead="WHERE edge.part_id = ANY (%(ids)s) AND")
    # Without the row that has ended there is no place in the list of values.
    tasks.PASS = (tasks.PASS[0].replace("width_bucket(done.id,", "width_bucket(edge.part_id,", 1),)


def children_stay() -> None:
    """Children do not notice the death of their supervisor."""
    kernel.die_with_parent = lambda parent: True
    Child._end_with = lambda self, lifeline: None  # type: ignore[method-assign]


#: Each sabotage by the name of its proof.
SABOTAGES: dict[str, Callable[[], None]] = {
    "finish-fence": no_fence_on_finish,
    "result-fence": no_fence_on_results,
    "result-row": no_result_row,
    "finished-fence": no_fence_on_kept_tasks,
    "finished-row": no_finished_row,
    "self-fencing": no_self_fencing,
    "worker-lock": no_worker_lock,
    "key-share": no_key_share,
    "loss-count": no_loss_counted,
    "living-leases": reclaim_of_the_living,
    "run-then-finish": finish_before_run,
    "one-transaction": enqueue_outside_the_transaction,
    "atomic-effects": effects_apart,
    "innocent-neighbors": neighbors_charged,
    "written-at-the-end": unwritten_at_the_end,
    "finish-log": no_finish_log,
    "recall": deaf_to_recalls,
    "one-tick": ticks_from_anywhere,
    "join-lock": no_join_lock,
    "unique-run": key_released_on_start,
    "worker-ids": ids_that_are_counted,
    "missing-workers": missing_workers_stay_so,
    "second-release": only_the_first_release,
    "one-release": released_in_any_state,
    "part-fence": no_fence_on_parts,
    "parent-death": children_stay,
    "cancel-mark": no_mark_of_a_cancel,
}
