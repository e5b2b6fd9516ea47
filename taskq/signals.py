"""What happens to tasks, as Django signals.

    @receiver(task_failed)
    def report(sender, id, name, exception, **kwargs): ...

The sender is the task as its decorator made it, None where this process does not know it;
``id`` is that of its ``AsyncResult``, ``name`` its name. A receiver that raises is
logged, and harms nothing. Where nobody listens it costs nothing.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

import django.db
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.dispatch import Signal

from taskq.connections import restoring
from taskq.task import registry
from taskq.task.ids import TaskId
from taskq.task.request import Request

log = logging.getLogger("taskq")

#: Before the task's row is made: ``name`` and ``headers``, a dict that a receiver may add to.
task_enqueuing = Signal()
#: In the transaction that sends it, once for each of many: ``id``, ``name``, ``queue``. In a
#: savepoint of its own, so that a statement that fails breaks nothing.
task_enqueued = Signal()

# In the worker, with ``id``, ``name`` and ``request``, see taskq.task.request.Request.

#: Right before the function is called. What a receiver sets in context variables the task
#: sees, and the receivers of what came of it do; it is gone with the run.
task_started = Signal()
#: ``seconds``.
task_succeeded = Signal()
#: It will be run again: ``error``, a text, and ``exception``, None where there was none.
task_retried = Signal()
#: As task_retried, with ``traceback``, a text.
task_failed = Signal()
#: A run that was asked to end has ended: ``error``. ``request`` is None where its worker
#: had to be killed; then it is sent as task_lost is.
task_cancelled = Signal()

#: Its worker died: ``id``, ``name``, ``cause``, ``losses`` and ``failed``, which is False when
#: it will be run again. In the keeper of a pool, in a thread of its own.
task_lost = Signal()

#: In the worker, before its first task, and after its last when it leaves in peace:
#: ``worker``, such as "worker 3", and ``pool``, its host and process id.
worker_started = Signal()
#: In the keeper, before anything else; again in one that replaces it: ``pool``.
keeper_started = Signal()
worker_stopped = Signal()


def tell(signal: Signal, sender: object, **fields: Any) -> None:
    """Send a signal, and log what its receivers raise."""
    for receiver, answer in signal.send_robust(sender, **fields):
        if isinstance(answer, Exception):
            log.error("%r failed, which hears of tasks", receiver, exc_info=answer)


def tell_of_run(signal: Signal, request: Request | None, **fields: Any) -> None:
    """Send a signal about the run in this process."""
    assert request is not None
    tell(signal, _sender(request.name), id=request.id, name=request.name, request=request, **fields)


def enqueuing(name: str, headers: Mapping[str, Any] | None) -> dict[str, Any]:
    """The headers as the receivers of task_enqueuing leave them."""
    added = dict(headers or {})
    tell(task_enqueuing, _sender(name), name=name, headers=added)
    return added


def enqueued(connection: BaseDatabaseWrapper, name: str, ids: list[int], queue: str) -> None:
    """Send task_enqueued for each of these."""
    sender = _sender(name)
    for id in ids:
        try:
            with (
                transaction.atomic(using=connection.alias)
                if connection.in_atomic_block
                else contextlib.nullcontext()
            ):
                tell(task_enqueued, sender, id=TaskId.of(id), name=name, queue=queue)
        except django.db.Error:
            # A statement that failed, and whose error a receiver, or tell(), has caught.
            log.exception("a receiver of task_enqueued broke its savepoint; rolled back")


def _sender(name: str) -> object:
    definition = registry.find(name)
    return definition.bound if definition is not None else None


# From the keeper, which renews leases and can wait for nobody


class _Aside(threading.Thread):
    """Calls functions in order, apart from the thread that asked for it."""

    def __init__(self) -> None:
        super().__init__(name="taskq-signals", daemon=True)
        self.calls: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self.start()

    def run(self) -> None:
        while True:
            call = self.calls.get()
            call()
            restoring.release_connections()


_aside: _Aside | None = None


def tell_aside(signal: Signal, task: int, name: str, **fields: Any) -> None:
    """Send a signal about a task from a thread of its own."""
    global _aside
    if _aside is None:
        _aside = _Aside()
    id, sender = TaskId.of(task), _sender(name)
    _aside.calls.put(lambda: tell(signal, sender, id=id, name=name, **fields))


def wait_until_told(seconds: float) -> None:
    """Until all that tell_aside was asked for is sent, or for so long."""
    if _aside is not None:
        done = threading.Event()
        _aside.calls.put(done.set)
        done.wait(seconds)
