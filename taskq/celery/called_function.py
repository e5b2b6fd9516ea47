"""The function of a task whose class has a ``before_start`` or a ``__call__`` of its own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from taskq.celery import task_hooks
from taskq.task.request import current


def surrounded(task: Any) -> Callable[..., Any]:
    """What a worker calls: the function itself, or where the class does more, a function that does
    so. It takes the task as its first argument if the task is bound."""
    function: Callable[..., Any] = task._function
    calls_itself = type(task).__call__ is not type(task)._plain_call
    begins = task_hooks.has(task, "before_start")
    if not (calls_itself or begins):
        return function
    first = 1 if task._bind else 0

    def call(*args: Any, **kwargs: Any) -> Any:
        if begins:
            _begin(task)
        return task(*args[first:], **kwargs) if calls_itself else function(*args, **kwargs)

    async def call_and_wait(*args: Any, **kwargs: Any) -> Any:
        value = call(*args, **kwargs)
        return await value if inspect.isawaitable(value) else value

    made: Callable[..., Any] = call
    if inspect.iscoroutinefunction(function):
        made = call_and_wait
    functools.update_wrapper(made, function)
    if not hasattr(function, "__wrapped__"):
        # Calls are checked against it. What a decorator has made takes any arguments, as it does.
        made.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return made


def _begin(task: Any) -> None:
    request = current.get()
    if request is not None:
        task.before_start(request.id, request.args, request.kwargs)
