"""``shared_task``: the decorator that makes a function a task."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, overload

from taskq.celery import apps, naming, task_hooks
from taskq.celery import options as celery_options
from taskq.celery.options_in_force import settle
from taskq.celery.task import Task
from taskq.task.options import task_options

P = ParamSpec("P")
R = TypeVar("R")


@overload
def shared_task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def shared_task(
    *, bind: Literal[True], name: str | None = None, **options: Any
) -> Callable[[Callable[Concatenate[Any, P], R]], Task[P, R]]: ...
@overload
def shared_task(
    *, name: str | None = None, **options: Any
) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def shared_task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    base: type[Task[..., Any]] | None = None,
    **options: Any,
) -> Any:
    """Make a function a task. It is used with or without parentheses.

    Args:
        function: The function, also an ``async def``.
        name: The name in the rows. By default the module and the name of the function, as in
            Celery. Keep it when you move the function: tasks that wait are found by it.
        base: A subclass of ``Task``, of which the task is made.
        **options: Options of the task. Options of Celery that change nothing here are ignored.

    Raises:
        TypeError: An option is unknown, refused, or of a wrong type. All such options are named.
        ValueError: An option is out of range, or the function has no name of its own.
    """
    return decorator(function, {"name": name, "base": base, **options})


def decorator(function: Callable[..., Any] | None, options: dict[str, Any], app: Any = None) -> Any:
    """What ``shared_task`` and ``app.task`` return. app: None for a task of whatever app."""
    name, base = options.pop("name", None), options.pop("base", None)
    if base is not None and not (isinstance(base, type) and issubclass(base, Task)):
        raise TypeError(f"base is {base!r}: give a subclass of taskq.celery.Task")
    kind = base if base is not None else _kind(app)
    own = _own(options)
    given = celery_options.of_decorator(options)
    task_options({each: given[each] for each in given.keys() - {"expires"}})

    def decorate(function: Callable[..., Any]) -> Task[..., Any]:
        if not inspect.isfunction(function):
            raise TypeError(f"shared_task is for functions, not {function!r}")
        if name is None and function.__name__ == "<lambda>":
            raise ValueError(f"{function!r} has no name of its own: give one by name=")
        made_by = apps.if_any() if app is None else app
        called = name
        if called is None:
            find = naming.task_name if made_by is None else made_by.gen_task_name
            called = find(function.__name__, function.__module__)
        return _make(kind, function, called, given, own, app)

    return decorate if function is None else decorate(function)


def _own(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are no options, but attributes that the task gets: hooks, what its base class has
    too, and what nobody knows. A hook that is None counts as not given."""
    return {
        name: value
        for name, value in given.items()
        if not celery_options.is_known(name) and not (value is None and name in task_hooks.ALL)
    }


def _kind(app: Any) -> type[Task[..., Any]]:
    app = apps.if_any() if app is None else app
    return Task if app is None else app.Task


def _make(
    kind: type[Task[..., Any]],
    function: Callable[..., Any],
    name: str,
    given: dict[str, Any],
    own: dict[str, Any],
    app: Any,
) -> Task[..., Any]:
    task = kind.__new__(kind)
    functools.update_wrapper(task, function)
    options = dict(given)
    bind = bool(options.pop("bind", False))
    attributes: dict[str, Any] = {
        "name": name,
        "run": MethodType(function, task) if bind else function,
        "_function": function,
        "_bind": bind,
        "_app": app,
        "_given": options,
        "_own_attributes": frozenset(own),
    }
    vars(task).pop("options", None)  # an attribute of the function
    vars(task).update(attributes)
    task_hooks.give(task, own)
    task.__init__()  # type: ignore[misc]  # as Celery: a class may set up what its tasks share
    settle(task)
    return task


def register(task: Task[..., Any], app: Any, options: Mapping[str, Any] | None = None) -> None:
    """Make an instance of a class with a method ``run`` a task.

    options: as of a decorator.

    Raises TypeError when the class has no such method, or for an option that is refused.
    """
    kind = type(task)
    if kind.run is Task.run:
        raise TypeError(f"{kind.__name__} has no method run(): write one, or use it as base=")
    made_by = apps.current() if app is None else app
    name = vars(task).get("name") or kind.name
    vars(task).update(
        name=name or made_by.gen_task_name(kind.__name__, kind.__module__),
        __name__=kind.__name__,
        _function=kind.run,
        _bind=True,
        _app=app,
    )
    own = _own(options or {})
    if options:
        task._given = {**task._given, **celery_options.of_decorator(options)}
        task._own_attributes = frozenset(own)
    task_hooks.give(task, own)
    settle(task)
