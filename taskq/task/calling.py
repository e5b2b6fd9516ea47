"""Calling a task's function, sync or async, and interrupting it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from asgiref.sync import sync_to_async

from taskq import conf
from taskq.connections import restoring
from taskq.exceptions import Retry
from taskq.task import carried_context
from taskq.task.registry import Definition
from taskq.task.request import Request, current


def call(definition: Definition, request: Request, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Run the function and return what it returns.

    Raises what the function raises, or a Retry that it asked for and that did not end it.
    """
    token = current.set(request)
    try:
        arguments = definition.arguments(args)
        if definition.is_async:
            value = _AsyncRun(definition.function, arguments, kwargs, request.sent_headers).run()
        elif conf.settings().context:
            with carried_context.entered(request.sent_headers):
                value = definition.function(*arguments, **kwargs)
        else:
            value = definition.function(*arguments, **kwargs)
    except Exception as error:
        again = request.asked_retry
        if again is None or again is error:
            raise
        _note_if_swallowed(request, again)
        raise again from error
    finally:
        current.reset(token)
    if request.asked_retry is not None:
        _note_if_swallowed(request, request.asked_retry)
        raise request.asked_retry
    return value


def _note_if_swallowed(request: Request, again: Retry) -> None:
    # A Retry that retry(throw=False) returned was never raised.
    request.retry_was_swallowed = again.__traceback__ is not None


def interrupt(error: BaseException) -> None:
    """Raise this in the run in progress (called by a signal handler).

    A coroutine can only be cancelled: it sees CancelledError at its next await.
    """
    if _AsyncRun.running is None:
        raise error
    _AsyncRun.running.cancel(error)


class _AsyncRun:
    """One run of an ``async def`` task, in an event loop of its own."""

    running: _AsyncRun | None = None
    #: Whether the last run has left connections open in the thread of the async ORM.
    left_open = False

    def __init__(
        self,
        function: Callable[..., Any],
        args: list[Any],
        kwargs: dict[str, Any],
        headers: Mapping[str, Any] | None,
    ) -> None:
        self._call = (function, args, kwargs)
        self._headers = headers
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._error: BaseException | None = None

    def run(self) -> Any:
        _AsyncRun.running = self
        try:
            # With a factory the runner does not change what asyncio.get_event_loop() returns later.
            with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
                return runner.run(self._main())
        except asyncio.CancelledError:
            if self._error is not None:
                raise self._error from None
            raise
        finally:
            _AsyncRun.running = None

    def cancel(self, error: BaseException) -> None:
        self._error = error
        if self._loop is not None and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)

    async def _main(self) -> Any:
        function, args, kwargs = self._call
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if self._error is not None:  # it came before the loop ran
            raise self._error
        if _AsyncRun.left_open:
            await sync_to_async(restoring.replace_ended_connections)()
        # In the thread of the ORM's async methods: the surrounding may concern their connections.
        entered = carried_context.entered(self._headers)
        await sync_to_async(entered.__enter__)()
        try:
            return await function(*args, **kwargs)
        finally:
            await sync_to_async(entered.__exit__)(None, None, None)
            # The ORM's async methods used connections of another thread.
            _AsyncRun.left_open = await sync_to_async(restoring.release_connections)()
