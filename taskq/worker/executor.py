"""One run of one task: from its stored arguments to an outcome."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from taskq import error_text, events, signals
from taskq.connections.of_thread import connection_of
from taskq.task import payload, retries
from taskq.task.calling import call
from taskq.task.claimed import Claimed
from taskq.task.outcomes import (
    DONE,
    DONE_AND_WRITTEN,
    Done,
    Failed,
    Fenced,
    Interrupted,
    Outcome,
    Retried,
)
from taskq.task.registry import Definition
from taskq.task.request import Request
from taskq.values import stored_moment
from taskq.worker.interruption import was_interrupted

#: How the error of a run begins that an outage has ended.
INTERRUPTED = "interrupted, as a connection to the database broke"


#: How many forks lie between this process and the first to import this: a task that forks
#: comes back in its child as well, with one more. os.getpid() would tell too, by a system
#: call a run.
_generation = 0


def _forked() -> None:
    global _generation
    _generation += 1


os.register_at_fork(after_in_child=_forked)


class _NotOurs(Exception):
    """Rolls back an atomic task whose lease is gone."""


def request_of(task: Claimed) -> Request:
    """What a run of a claimed task may know of itself."""
    # In their order: keywords would take a third longer.
    return Request(task.id, task.name, task.queue, task.retries, task.losses)


def execute(
    definition: Definition,
    task: Claimed,
    request: Request,
    *,
    alias: str,
    begin: Callable[[BaseDatabaseWrapper], AbstractContextManager[object]],
    finish: Callable[[BaseDatabaseWrapper, str | None], bool],
    arm: Callable[[], Any],
    guard: Callable[[], Any],
    first: Sequence[object] = (),
) -> Outcome:
    """Run a task and say what came of it. Raises nothing that the task raises.

    request: of this run; it is told of the headers and of the tick. alias: the database that
    the row is in. begin: entered as the transaction of an atomic task is opened on the connection.
    finish: ends the task in that transaction, and keeps its result, if any; whether it was
    still ours. arm: called right before the function; what it raises, the task has raised.
    guard: called as the function returns or raises, before anything else is done. first:
    arguments before the task's own.
    """
    try:
        if task.scheduled_at:
            request.scheduled_at = stored_moment(task.scheduled_at)
        args, kwargs, request.sent_headers = payload.decode_call(task.payload, task.name)
        request.args, request.kwargs = args, kwargs
    except BaseException as error:  # un-pickling may raise anything, and be cancelled
        return Failed(error_text.message(error), "", error_text.kind(error))
    keeps = not definition.options.ignore_result
    committed: list[bool] = []
    try:
        args = [*first, *args]
        if signals.task_started.receivers:
            # In no transaction of the task's: what they do must not break that.
            signals.tell_of_run(signals.task_started, request)
        if not definition.options.atomic:
            value = _guarded(definition, request, args, kwargs, arm, guard)
            if not keeps:
                return DONE
            return Done(written=False, result=payload.encode_result(value, task.name))
        # The task's writes and its row's end are one transaction.
        connection = connection_of(alias)
        with transaction.atomic(using=alias), begin(connection):
            hooks = len(connection.run_on_commit)
            value = _guarded(definition, request, args, kwargs, arm, guard)
            result = payload.encode_result(value, task.name) if keeps else None
            if len(connection.run_on_commit) > hooks:  # told before any of them is called
                tell: Any = (set(connection.savepoint_ids), lambda: committed.append(True), False)
                connection.run_on_commit.insert(hooks, tell)
            if not finish(connection, result):
                raise _NotOurs
        return Done(written=True, result=result) if keeps else DONE_AND_WRITTEN
    except _NotOurs:
        return Fenced()
    except BaseException as error:  # whatever a task raises is the task's, SystemExit too
        if committed:  # by what the task has asked to be called then
            text, traceback = error_text.message(error), error_text.traceback(error)
            events.commit_hook_failed(task.id, task.name, text, traceback)
            return Done(written=True, result=result)
        return _outcome(error, definition, request)


def _guarded(
    definition: Definition,
    request: Request,
    args: list[Any],
    kwargs: dict[str, Any],
    arm: Callable[[], Any],
    guard: Callable[[], Any],
) -> Any:
    generation = _generation
    try:
        arm()
        return call(definition, request, args, kwargs)
    finally:
        _end_if_forked(generation)
        guard()


def _outcome(error: BaseException, definition: Definition, request: Request) -> Outcome:
    """What an exception makes of a run. Code of its own has a part in that, and may raise too."""
    generation = _generation
    if request.retry_was_swallowed:
        events.retry_swallowed(request)
    try:
        if (retried := _retried(error, definition, request)) is not None:
            return retried
        if was_interrupted(error):
            text = f"{INTERRUPTED}: {error_text.message(error)}"
            return Interrupted(text, error_text.traceback(error), error_text.kind(error))
        heard = bool(signals.task_failed.receivers) or definition.hooks is not None
        return _failed(retries.given_up(error, request), heard=heard)
    except BaseException:
        return _failed(error)
    finally:
        _end_if_forked(generation)


def _retried(error: BaseException, definition: Definition, request: Request) -> Retried | None:
    again = retries.after(error, definition.options, request.retries, request.retry_limit)
    if again is None:
        return None
    cause = again.exc if again.exc is not None else error.__context__
    if cause is None:  # it may have been given as text
        return Retried(again.eta, again.countdown, again.text, "", error_text.kind(again))
    heard = cause if signals.task_retried.receivers else None
    text, traceback = error_text.message(cause), error_text.traceback(cause)
    return Retried(again.eta, again.countdown, text, traceback, error_text.kind(cause), heard)


def _failed(error: BaseException, *, heard: bool = False) -> Failed:
    """The failure that an exception is. heard: somebody wants to hear of the exception itself."""
    return Failed(
        error_text.message(error),
        error_text.traceback(error),
        error_text.kind(error),
        out_of_memory=issubclass(type(error), MemoryError),
        exception=error if heard else None,
    )


def _end_if_forked(generation: int) -> None:
    """The task forked and its child came back here: it must touch nothing."""
    if _generation != generation:
        os._exit(0)
