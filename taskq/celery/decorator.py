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
    """Make a function a task. It is used with or without parentheses.

    Args:
        function: The function, also an ``async def``.
        name: The name in the rows. By default the module and the name of the function, as in
            Celery. Keep it when you move the function: tasks that wait are found by it.
        **options: Options of the task. Options of Celery that change nothing here are ignored.

    Raises:
        TypeError: An option is unknown, refused, or of a wrong type.
        ValueError: An option is out of range, or the function has no name of its own.
    """
    checked = task_options(celery_options.of_decorator(options))

    def decorate(function: Callable[..., Any]) -> SharedTask[..., Any]:
        if not inspect.isfunction(function):
            raise TypeError(f"shared_task is for functions, not {function!r}")
        if name is None and function.__name__ == "<lambda>":
            raise ValueError(f"{function!r} has no name of its own: give one by name=")
        return SharedTask(function, name or f"{function.__module__}.{function.__name__}", checked)

    return decorate if function is None else decorate(function)
