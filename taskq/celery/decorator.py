"""``shared_task``: the decorator that makes a function a task."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, overload

from taskq.celery import options as celery_options
from taskq.celery.task import SharedTask
from taskq.task.options import task_options

P = ParamSpec("P")
R = TypeVar("R")


@overload
def shared_task(function: Callable[P, R], /) -> SharedTask[P, R]: ...
@overload
def shared_task(
    *, bind: Literal[True], name: str | None = None, **options: Any
) -> Callable[[Callable[Concatenate[Any, P], R]], SharedTask[P, R]]: ...
@overload
def shared_task(
    *, name: str | None = None, **options: Any
) -> Callable[[Callable[P, R]], SharedTask[P, R]]: ...
def shared_task(
    function: Callable[..., Any] | None = None, /, *, name: str | None = None, **options: Any
) -> Any:
    """Make a function a task; with or without arguments.

    name: how rows call it; by default the module and the function's name.
    Other options: see :class:`taskq.task.options.TaskOptions`. Options of Celery's that
    mean nothing here are ignored.

    Raises TypeError or ValueError at once for an option that is unknown or wrong.
    """
    checked = task_options(celery_options.of_decorator(options))

    def decorate(function: Callable[..., Any]) -> SharedTask[..., Any]:
        if not inspect.isfunction(function):
            raise TypeError(f"shared_task is for functions, not {function!r}")
        if name is None and function.__name__ == "<lambda>":
            raise ValueError(f"{function!r} has no name of its own: give one by name=")
        return SharedTask(function, name or f"{function.__module__}.{function.__name__}", checked)

    return decorate if function is None else decorate(function)
