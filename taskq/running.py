"""Calling a task's function, sync or async, and interrupting it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async

from taskq import hygiene
from taskq.context import Request, current
from taskq.registry import Definition


def call(definition: Definition, request: Request, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Run the function and return what it returns; raises what it raises."""
    token = current.set(request)
    try:
        arguments = definition.arguments(args)
        if definition.is_async:
            return _AsyncRun(definition.function, arguments, kwargs).run()
        return definition.function(*arguments, **kwargs)
    finally:
        current.reset(token)


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

    def __init__(
        self, function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]
    ) -> None:
        self._call = (function, args, kwargs)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._error: BaseException | None = None

    def run(self) -> Any:
        _AsyncRun.running = self
        try:
            # With a factory the runner leaves alone what asyncio.get_event_loop() gives after it.
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
        if self._error is not None:  # it came before there was anything to cancel
            raise self._error
        try:
            return await function(*args, **kwargs)
        finally:
            # The ORM's async methods used connections of another thread.
            await sync_to_async(hygiene.release_connections)()
