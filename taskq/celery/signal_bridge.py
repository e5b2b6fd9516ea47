"""Where Celery's signals come from: taskq's own. Each is connected when somebody first listens to
one of Celery's that needs it, so nobody pays for signals without receivers."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import django.dispatch

from taskq import signals as own
from taskq.celery import apps, signals, telling
from taskq.celery.celery_signal import CelerySignal
from taskq.celery.end_hooks import EndHooks
from taskq.exceptions import WorkerLost
from taskq.lookup import look_up
from taskq.task import call_notes, payload, registry
from taskq.task.request import Request

#: The call that this thread is about to send: its arguments, and the id that it was given.
_sending: ContextVar[tuple[Any, Any, str | None]] = ContextVar(
    "taskq_celery_sending", default=((), {}, None)
)

#: The headers of a message that Celery has and a receiver may read; they are not stored.
_SHOWN = ("id", "task", "argsrepr", "kwargsrepr")


def _tells_itself(name: str) -> bool:
    """Whether the hooks of this task tell of the end of its runs, and so its signals too."""
    definition = registry.find(name)
    made = getattr(definition and definition.hooks, "func", None)
    return made is EndHooks


class Instance:
    """The pool, as receivers of signals of Celery's worker get it."""

    def __init__(self, hostname: str, app: Any) -> None:
        self.hostname = hostname
        self.app = app


# In the sender


def _before_publish(
    name: str, queue: str, headers: dict[str, Any], args: Any, kwargs: Any, **more: Any
) -> None:
    id = call_notes.of(headers).get("id")
    _sending.set((args, kwargs, id))
    shown = {**call_notes.without(headers), **_message(name, args, kwargs)}
    if id is not None:
        shown["id"] = id
    signals.before_task_publish.send(
        name,
        body=(args, kwargs, {}),
        exchange="",
        routing_key=queue,
        headers=shown,
        properties={},
        declare=[],
        retry_policy={},
    )
    headers |= {key: value for key, value in shown.items() if key not in _SHOWN}


def _after_publish(id: str, name: str, queue: str, **more: Any) -> None:
    args, kwargs, given = _sending.get()
    signals.after_task_publish.send(
        name,
        body=(args, kwargs, {}),
        exchange="",
        routing_key=queue,
        headers={**_message(name, args, kwargs), "id": given or id},
    )


def _message(name: str, args: Any, kwargs: Any) -> dict[str, Any]:
    return {"task": name, "argsrepr": repr(args), "kwargsrepr": repr(kwargs)}


# In the worker


def _started(sender: Any, request: Request, **more: Any) -> None:
    telling.started(sender, request)


def _succeeded(sender: Any, name: str, request: Request, seconds: float, **more: Any) -> None:
    if not _tells_itself(name):
        telling.succeeded(sender, request, request.returned, seconds)


def _retried(
    sender: Any, name: str, request: Request, exception: BaseException | None, **more: Any
) -> None:
    if not _tells_itself(name):
        telling.retried(sender, request, exception, "")


def _failed(
    sender: Any,
    name: str,
    request: Request | None,
    error: str,
    traceback: str,
    exception: BaseException | None,
    **more: Any,
) -> None:
    if request is not None and not _tells_itself(name):
        telling.failed(sender, request, exception, traceback, error)


def _cancelled(sender: Any, request: Request | None, error: str, **more: Any) -> None:
    telling.revoked(sender, request, error)


def _lost(sender: Any, id: Any, name: str, cause: str, failed: bool, **more: Any) -> None:
    """In the keeper: a task was given up, because its worker died once too often."""
    listeners = signals.task_failure.receivers or signals.task_postrun.receivers
    if not failed or not (listeners or _tells_itself(name)):
        return
    request = Request(pk=id.int, name=name, queue="")
    known = look_up(id.int)
    if known is not None:
        request.queue = known.queue
        request.args, request.kwargs, request.sent_headers = payload.decode_call(
            known.payload, name
        )
    telling.failed(sender, request, WorkerLost(cause), "")


def tell_of_losses() -> None:
    """Tell tasks that have hooks of their failure by a loss, though nobody listens to a signal."""
    own.task_lost.connect(_lost)  # Django keeps it once


# In the processes of a pool


def _pool_starts(pool: str, **more: Any) -> None:
    """In the process that becomes the supervisor, before the first fork."""
    host = socket.gethostname()
    instance = Instance(pool, apps.current())
    logs: Mapping[str, Any] = {"loglevel": None, "logfile": None, "format": "", "colorize": False}
    conf = apps.current().conf
    signals.celeryd_init.send(host, instance=instance, conf=conf, options={})
    signals.setup_logging.send(None, **logs)
    signals.after_setup_logger.send(None, logger=logging.getLogger(), **logs)
    signals.after_setup_task_logger.send(None, logger=logging.getLogger("celery.task"), **logs)
    signals.celeryd_after_setup.send(host, instance=instance, conf=conf)
    signals.worker_init.send(instance)


def _keeper_started(pool: str, **more: Any) -> None:
    """In the keeper. It renews leases and must not wait for a receiver."""
    instance = Instance(pool, apps.current())
    own.aside(lambda: signals.worker_ready.send(instance))


def _worker_started(**more: Any) -> None:
    signals.worker_process_init.send(None)


def _worker_stopped(**more: Any) -> None:
    signals.worker_process_shutdown.send(None, pid=os.getpid(), exitcode=0)


_AT_THE_END = (
    (own.task_succeeded, _succeeded),
    (own.task_retried, _retried),
    (own.task_failed, _failed),
    (own.task_cancelled, _cancelled),
    (own.task_lost, _lost),
)
_AT_THE_START = ((own.pool_starting, _pool_starts),)
#: What each of Celery's signals needs: signals of taskq, and what then happens.
_NEEDS: dict[CelerySignal, tuple[tuple[django.dispatch.Signal, Callable[..., None]], ...]] = {
    signals.before_task_publish: ((own.task_enqueuing, _before_publish),),
    signals.after_task_publish: ((own.task_enqueued, _after_publish),),
    signals.task_prerun: ((own.task_started, _started),),
    signals.task_postrun: _AT_THE_END,
    signals.task_success: ((own.task_succeeded, _succeeded),),
    signals.task_retry: ((own.task_retried, _retried),),
    signals.task_failure: ((own.task_failed, _failed), (own.task_lost, _lost)),
    signals.task_revoked: ((own.task_cancelled, _cancelled),),
    signals.celeryd_init: _AT_THE_START,
    signals.setup_logging: _AT_THE_START,
    signals.after_setup_logger: _AT_THE_START,
    signals.after_setup_task_logger: _AT_THE_START,
    signals.celeryd_after_setup: _AT_THE_START,
    signals.worker_init: _AT_THE_START,
    signals.worker_ready: ((own.keeper_started, _keeper_started),),
    signals.worker_process_init: ((own.worker_started, _worker_started),),
    signals.worker_process_shutdown: ((own.worker_stopped, _worker_stopped),),
}


def _connect(each: CelerySignal) -> Callable[[], None]:
    def connect() -> None:
        for signal, receiver in _NEEDS[each]:
            signal.connect(receiver)  # Django keeps it once, whoever needs it

    return connect


for _signal in _NEEDS:
    _signal.when_heard(_connect(_signal))
