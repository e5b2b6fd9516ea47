"""Runs a task: from its stored arguments to an outcome."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, cast

from django.db import transaction

from pool import clock
from taskq import error_text, events, signals
from taskq.connections.of_thread import connection_of
from taskq.database_errors import waited_too_long
from taskq.exceptions import Ignore
from taskq.task import call_notes, ignoring, inputs, masking, payload, retries
from taskq.task.calling import call
from taskq.task.claimed import Claimed
from taskq.task.masking import Hide
from taskq.task.outcomes import (
    DONE,
    DONE_AND_WRITTEN,
    Done,
    Failed,
    Fenced,
    Interrupted,
    Outcome,
    Replaced,
    Retried,
)
from taskq.task.registry import Definition
from taskq.task.request import Request
from taskq.values import stored_moment
from taskq.worker.atomic_end import AtomicEnd
from taskq.worker.interrupter import Interrupter
from taskq.worker.outage_check import Outage, outage_of
from taskq.workflow.replacing import Replace

#: How many forks lie between this process and the first to import this module. If a task forks,
#: the function returns in the child too, where this number is higher. os.getpid() would tell the
#: same, but costs a system call in each run.
_generation = 0


def _forked() -> None:
    global _generation
    _generation += 1


os.register_at_fork(after_in_child=_forked)


class _LeaseIsGone(Exception):
    """Rolls back an atomic task whose lease is gone."""


def request_of(task: Claimed) -> Request:
    """The request of a run of a claimed task."""
    # Positional arguments: keywords would take a third longer.
    return Request(task.id, task.name, task.queue, task.retries, task.losses)


class Executor:
    """Runs tasks, one after the other.

    alias: the database that holds the rows of the tasks.
    interrupter: may raise in the function of a task, and nowhere else.
    """

    def __init__(self, alias: str, interrupter: Interrupter, end: AtomicEnd) -> None:
        self._alias = alias
        self._interrupter = interrupter
        self._end = end
        #: When the function of the last run returned, on the pool's clock; 0 where that was the end
        #: of the run.
        self._returned_at = 0

    def run(
        self,
        definition: Definition,
        task: Claimed,
        request: Request,
        first: Sequence[object] = (),
    ) -> Outcome:
        """Run a task and return its outcome. Raises nothing that the task raises.

        request: describes this run. The headers and the tick are added to it.
        first: arguments before the task's own.
        """
        self._returned_at = 0
        step = None
        try:
            if task.scheduled_at:
                request.scheduled_at = stored_moment(task.scheduled_at)
            args, kwargs, request.sent_headers = payload.decode_call(task.payload, task.name)
            if task.step is not None:
                step = inputs.StepRun.read(task.step)
                request.workflow = step.workflow
                args, kwargs = inputs.filled(args, kwargs, step.inputs)
            request.args, request.kwargs = args, kwargs
            if definition.options.sensitive:
                request.hide = masking.hiding(task.name, args, kwargs)
            if request.sent_headers and (limits := call_notes.limits(request.sent_headers)):
                self._interrupter.limit(*limits)
        except BaseException as error:  # un-pickling may raise anything, and be cancelled
            return Failed(error_text.message(error), "", error_text.kind(error))
        keeps = not definition.options.ignore_result
        committed: list[bool] = []
        #: Whether the statement in progress is one of taskq's, at the ends of an atomic task.
        is_taskqs = False
        try:
            args = [*first, *args]
            if signals.task_started.receivers:
                # Outside of the task's transaction: a receiver must not break that.
                signals.tell_of_run(signals.task_started, request)
            if not definition.options.atomic:
                value = self._call(definition, request, args, kwargs)
                if definition.hooks is not None or signals.task_succeeded.receivers:
                    request.returned = value
                if not keeps and step is None:
                    return DONE
                return Done(False, *_encoded(value, task, step, keeps=keeps))
            # The task's writes and the end of its row are one transaction.
            connection = connection_of(self._alias)
            is_taskqs = True
            with transaction.atomic(using=self._alias), self._end.begin(connection):
                callbacks = len(connection.run_on_commit)
                is_taskqs = False
                value = self._call(definition, request, args, kwargs)
                self._returned_at = clock.now()  # what follows waits for the disk
                if definition.hooks is not None or signals.task_succeeded.receivers:
                    request.returned = value
                result, passed = _encoded(value, task, step, keeps=keeps)
                if len(connection.run_on_commit) > callbacks:  # runs before all of them
                    note: Any = (
                        set(connection.savepoint_ids),
                        lambda: committed.append(True),
                        False,
                    )
                    connection.run_on_commit.insert(callbacks, note)
                drops, is_taskqs = request.drops, True
                if not self._end.finish(connection, task, definition, result, passed, drops):
                    raise _LeaseIsGone
            return Done(written=True, result=result) if keeps else DONE_AND_WRITTEN
        except _LeaseIsGone:
            return Fenced()
        except BaseException as error:  # whatever a task raises is the task's, SystemExit too
            if committed:  # it comes from a callback that the task has registered
                text = error_text.message(error, request.hide)
                traceback = error_text.traceback(error, request.hide)
                events.commit_hook_failed(task.id, task.name, text, traceback)
                return Done(written=True, result=result)
            if is_taskqs and waited_too_long(error):
                text = f"interrupted, as it waited too long for a lock: {error_text.message(error)}"
                return Interrupted(text, "", error_text.kind(error))
            return _outcome(error, definition, request, keeps=keeps)

    def own_seconds(self, began: int, ended: int) -> float:
        """How long the function of the last run took, without the end of its transaction.

        began, ended: when the run did, by ``pool.clock``.
        """
        return ((self._returned_at or ended) - began) / clock.SECOND

    def _call(
        self, definition: Definition, request: Request, args: list[Any], kwargs: dict[str, Any]
    ) -> Any:
        generation = _generation
        try:
            self._interrupter.arm()
            return call(definition, request, args, kwargs)
        finally:
            _end_if_forked(generation)
            self._interrupter.disarm()


def _encoded(
    value: Any, task: Claimed, step: inputs.StepRun | None, *, keeps: bool
) -> tuple[str | None, str | None]:
    """What a run returned, as the result that is kept, and as what later steps get."""
    result = payload.encode_result(value, task.name) if keeps else None
    passed = payload.encode_passed(value) if step is not None and step.passes else None
    return result, passed


def _outcome(
    error: BaseException, definition: Definition, request: Request, *, keeps: bool
) -> Outcome:
    """The outcome of a run that raised. This calls code of the task, which may raise too."""
    generation = _generation
    hide = request.hide
    if request.retry_was_swallowed:
        events.retry_swallowed(request)
    try:
        if isinstance(error, Replace):
            return Replaced(error.last, error.others)
        if issubclass(type(error), Ignore):
            return ignoring.outcome(cast(Ignore, error), request, keeps=keeps)
        if (retried := _retried(error, definition, request)) is not None:
            return retried
        if (outage := outage_of(error)) is not None:
            text = f"interrupted, as {outage.value}: {error_text.message(error, hide)}"
            traceback, kind = error_text.traceback(error, hide), error_text.kind(error)
            return Interrupted(text, traceback, kind, outage is Outage.READ_ONLY)
        heard = bool(signals.task_failed.receivers) or definition.hooks is not None
        return _failed(retries.given_up(error, request), hide, heard=heard)
    except BaseException:
        return _failed(error, hide)
    finally:
        _end_if_forked(generation)


def _retried(error: BaseException, definition: Definition, request: Request) -> Retried | None:
    again = retries.after(error, definition.options, request.retries, request.retry_limit)
    if again is None:
        return None
    cause = again.exc if again.exc is not None else error.__context__
    hide = request.hide
    if cause is None:  # it may have been given as text
        text = again.text if hide is None else hide(again.text)
        kind = error_text.kind(again)
        return Retried(again.eta, again.countdown, text, "", kind, changes=again.changes)
    heard = cause if signals.task_retried.receivers or definition.hooks is not None else None
    text, traceback = error_text.message(cause, hide), error_text.traceback(cause, hide)
    kind = error_text.kind(cause)
    return Retried(again.eta, again.countdown, text, traceback, kind, heard, again.changes)


def _failed(error: BaseException, hide: Hide | None, *, heard: bool = False) -> Failed:
    """The failure for an exception. heard: a receiver or a hook wants the exception itself."""
    return Failed(
        error_text.message(error, hide),
        error_text.traceback(error, hide),
        error_text.kind(error),
        out_of_memory=issubclass(type(error), MemoryError),
        exception=error if heard else None,
    )


def _end_if_forked(generation: int) -> None:
    """End this process if the task's fork has made it: it must touch nothing."""
    if _generation != generation:
        os._exit(0)
