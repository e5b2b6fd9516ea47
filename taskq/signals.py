"""The events of tasks as Django signals.

    @receiver(task_failed)
    def report(sender, id, name, exception, **kwargs): ...

The sender is the task object that the decorator made, or None when this process does not know the
task. ``id`` is the id of its ``AsyncResult``, ``name`` its name. An exception in a receiver is
logged and does no harm. A signal without receivers costs nothing.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
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

#: Before the row is made: ``name``, ``queue``, ``args``, ``kwargs``, and ``headers``, a dict to
#: which a receiver may add. A bulk call sends it once, and its ``args`` and ``kwargs`` are empty.
task_enqueuing = Signal()
#: In the transaction that sends the task: ``id``, ``name``, ``queue``. A bulk call sends it once
#: for each task. It has a savepoint of its own, so a failed statement in a receiver does no harm.
task_enqueued = Signal()

# These are sent in the worker, with ``id``, ``name`` and ``request`` (taskq.task.request.Request).

#: Right before the function is called. The task, and receivers of later signals of this run, see
#: what a receiver sets in context variables. After the run it is gone.
task_started = Signal()
#: The run returned: ``seconds``.
task_succeeded = Signal()
#: The task will run again: ``error``, a text, and ``exception``, None when there was none.
task_retried = Signal()
#: The task failed: as task_retried, with ``traceback``, a text.
task_failed = Signal()
#: A cancelled run has ended: ``error``. ``request`` is None when the worker had to be killed. The
#: signal is then sent as task_lost is.
task_cancelled = Signal()

#: The worker died: ``id``, ``name``, ``cause``, ``losses``, and ``failed``, which is False when the
#: task will run again. Sent in the pool's keeper, in a thread of its own.
task_lost = Signal()

#: In the worker, before its first task, and after its last one when it ends in an orderly way:
#: ``worker``, such as "worker 3", and ``pool``, its host and process id.
worker_started = Signal()
#: In the process that becomes a pool's supervisor, before its first fork: ``pool``. All processes
#: share what a receiver loads here. The connections that it opens are closed.
pool_starting = Signal()
#: In the keeper, before anything else: ``pool``. A keeper that replaces it sends it again.
keeper_started = Signal()
worker_stopped = Signal()


def tell(signal: Signal, sender: object, **fields: Any) -> None:
    """Send a signal, and log the exceptions of its receivers."""
    for receiver, answer in signal.send_robust(sender, **fields):
        if isinstance(answer, Exception):
            log.error("%r failed, which hears of tasks", receiver, exc_info=answer)


def tell_of_run(signal: Signal, request: Request | None, **fields: Any) -> None:
    """Send a signal about the run in this process."""
    assert request is not None
    tell(signal, _sender(request.name), id=request.id, name=request.name, request=request, **fields)


def enqueuing(
    name: str,
    queue: str,
    headers: Mapping[str, Any] | None,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> dict[str, Any]:
    """The headers, with what the receivers of task_enqueuing have changed."""
    added = dict(headers or {})
    tell(
        task_enqueuing,
        _sender(name),
        name=name,
        queue=queue,
        headers=added,
        args=args,
        kwargs=kwargs,
    )
    return added


def enqueued(connection: BaseDatabaseWrapper, name: str, ids: list[int], queue: str) -> None:
    """Send task_enqueued for each of these tasks."""
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
            # A statement failed, and a receiver or tell() caught its error.
            log.exception("a receiver of task_enqueued broke its savepoint; rolled back")


def _sender(name: str) -> object:
    definition = registry.find(name)
    return definition.bound if definition is not None else None


# Signals of the keeper, which renews leases and must not wait for a receiver


class _Aside(threading.Thread):
    """A thread that calls functions in order, so that the thread that asks need not wait."""

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
    id, sender = TaskId.of(task), _sender(name)
    aside(lambda: tell(signal, sender, id=id, name=name, **fields))


def aside(call: Callable[[], object]) -> None:
    """Call this in that thread. It must not raise."""
    global _aside
    if _aside is None:
        _aside = _Aside()
    _aside.calls.put(call)


def wait_until_told(seconds: float) -> None:
    """Wait until all signals of tell_aside are sent, or so many seconds."""
    if _aside is not None:
        done = threading.Event()
        _aside.calls.put(done.set)
        done.wait(seconds)
