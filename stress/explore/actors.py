"""The actors. Each uses the code that does the same in a site or in a pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import transaction

from pool.finish_log import FinishLog
from stress.explore.gate import COMMIT, Gate
from stress.explore.scene import NAME, OPTIONS, UNTIL_FINISH, UNTIL_START, Scene
from taskq.models import State, Task
from taskq.outbox import enqueue
from taskq.store import endings
from taskq.store.claims import ClaimRequest
from taskq.store.tasks import TaskStore
from taskq.task.options import TaskOptions
from taskq.task.queues import Queues
from taskq.worker.batch import Batch


@dataclass(frozen=True)
class Hands:
    """The means of an actor. db: a connection like those of a pool. gate: of its thread."""

    scene: Scene
    db: TaskStore
    gate: Gate

    @property
    def run(self) -> tuple[int, int]:
        """The run that ``scene.worker`` has from the beginning."""
        return self.scene.running, 1


# A worker


def claim(by: Hands) -> None:
    _claim(by, by.scene.worker)


def claim_elsewhere(by: Hands) -> None:
    _claim(by, by.scene.other)


def _claim(by: Hands, worker: int) -> None:
    result = by.db.end_and_claim(worker, [], ClaimRequest(Queues.parse(""), 1, ()))
    for task in result.tasks:
        by.scene.holds(worker, task.id)


def finish(by: Hands) -> None:
    for task in by.db.end(by.scene.worker, [endings.finish(by.run)]):
        by.scene.ends(by.scene.worker, task, gone=True)


def retry(by: Hands) -> None:
    if by.db.end(
        by.scene.worker, [endings.retry(by.run, when=None, delay=0.0, error="e", traceback="")]
    ):
        by.scene.ends(by.scene.worker, by.scene.running)


def fail(by: Hands) -> None:
    if by.db.end(by.scene.worker, [endings.fail(by.run, error="e", traceback="")]):
        by.scene.ends(by.scene.worker, by.scene.running)


def give_back(by: Hands) -> None:
    for task in by.db.give_back(by.scene.worker, [by.run]):
        by.scene.ends(by.scene.worker, task)


def end_part(by: Hands) -> None:
    _end_part(by, by.scene.worker, by.scene.parts[0])


def end_other_part(by: Hands) -> None:
    _end_part(by, by.scene.other, by.scene.parts[1])


def _end_part(by: Hands, worker: int, part: int) -> None:
    """Write its end with what that releases. Then release once more, as before the next claim."""
    words = memoryview(bytearray(8 * FinishLog.words(1))).cast("q")
    batch = Batch(FinishLog(words, memoryview(bytearray(1024))))
    batch.hold_under(worker)
    batch.end_later(endings.pass_on((part, 1), None, None, "null"))
    batch.write(by.db)
    if not batch.pop_untouched():
        by.scene.ends(worker, part, gone=True)
    batch.release(by.db)


# A keeper


def keep_workflows(by: Hands) -> None:
    """Release what others have left."""
    by.db.workflows.settle(3600.0)


def retire(by: Hands) -> None:
    """Retire the worker, which has died."""
    _retire(by, expired_only=False)


def reclaim(by: Hands) -> None:
    """Look for expired leases, as another pool does."""
    if by.scene.worker in by.db.leases.expired():
        _retire(by, expired_only=True)


def _retire(by: Hands, *, expired_only: bool) -> None:
    scene = by.scene
    found = by.db.leases.retire(
        scene.worker, ran=scene.running, charge=True, cause="died", expired_only=expired_only
    )
    if found is None:
        return
    if expired_only and scene.alive:
        scene.seen.append("a lease was reclaimed that had not run out")
    scene.alive = False  # even if a locked task makes it necessary to retire it again
    for task in found.tasks:
        scene.ends(scene.worker, task.id)


def renew(by: Hands) -> None:
    if by.db.leases.renew([by.scene.worker], 3600.0).kept and not by.scene.alive:
        by.scene.seen.append("a lease was renewed that had run out")


# A person


def cancel(by: Hands) -> None:
    """Cancel the running task."""
    _cancel(by, by.scene.running)


def cancel_waiting(by: Hands) -> None:
    _cancel(by, by.scene.waiting)


def _cancel(by: Hands, task: int) -> None:
    with _transaction(by):
        removed = Task.objects.filter(pk=task).cancel().removed
    if removed:
        by.scene.gone.add(task)


def cancel_workflow(by: Hands) -> None:
    """Cancel the parts and the step that waits for them."""
    scene = by.scene
    steps = [*scene.parts, scene.step]
    with _transaction(by):
        Task.objects.filter(pk__in=steps).cancel()
        left = set(Task.objects.filter(pk__in=steps).values_list("pk", flat=True))
    scene.gone |= set(steps) - left


def retry_failed(by: Hands) -> None:
    """Retry the tasks that have failed or are lost by then."""
    scene = by.scene
    with _transaction(by):
        Task.objects.filter(pk__in=[scene.running, scene.failed]).retry()
        waits = Task.objects.filter(pk=scene.running, state=State.READY).exists()
    run = (scene.worker, scene.running)
    if waits and scene.ended[run] < scene.held[run]:
        scene.ends(*run)  # it was lost, and so nobody else has ended it


# A sender


def join(by: Hands) -> None:
    """Send with the key of the waiting task: it is joined, and starts after the commit."""
    scene = by.scene
    with _transaction(by):
        sent = enqueue.enqueue(NAME, (), {}, OPTIONS[UNTIL_START], unique_key=UNTIL_START)
        if sent.joined:
            scene.joined[sent.id] += 1
    if sent.joined:
        scene.joined[sent.id] -= 1
    else:
        scene.there.add(sent.id)


def send_alone(by: Hands) -> None:
    """Send with the key of the running task. No two tasks with this key may exist at once."""
    with _transaction(by):
        sent = enqueue.enqueue(NAME, (), {}, OPTIONS[UNTIL_FINISH], unique_key=UNTIL_FINISH)
    by.scene.there.add(sent.id)
    by.scene.alone.add(sent.id)


def send_once(by: Hands) -> None:
    """Send with an idempotency key."""
    with _transaction(by):
        sent = enqueue.enqueue(NAME, (), {}, TaskOptions(), idempotency_key="once")
    by.scene.there.add(sent.id)
    by.scene.once.add(sent.id)


@contextmanager
def _transaction(by: Hands) -> Iterator[None]:
    """A transaction of the actor, which waits at its gate before the commit."""
    with transaction.atomic():
        yield
        by.gate.step(COMMIT)


ACTORS: dict[str, Callable[[Hands], None]] = {
    each.__name__.replace("_", "-"): each
    for each in (
        claim,
        claim_elsewhere,
        finish,
        retry,
        fail,
        give_back,
        retire,
        reclaim,
        renew,
        cancel,
        cancel_waiting,
        retry_failed,
        join,
        send_alone,
        send_once,
        end_part,
        end_other_part,
        keep_workflows,
        cancel_workflow,
    )
}
#: Those that have to do with the parts and the step that waits for them.
OF_WORKFLOWS = {"end-part", "end-other-part", "keep-workflows", "cancel-workflow"}
