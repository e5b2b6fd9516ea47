"""The options of a task as attributes of it and of its class, as in Celery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from taskq.task.options import TaskOptions

#: The options that a class may give to its tasks. Whether a task is bound is up to its function.
NAMES = frozenset(each.name for each in fields(TaskOptions)) - {"bind"}
_DEFAULTS = TaskOptions()


def shown(name: str) -> Any:
    """An attribute that shows this option: of a task the one in force, of a class the one that it
    gives to its tasks. To set it on a task changes the option."""
    return _Shown(name)


class _Shown:
    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, task: Any, kind: type) -> Any:
        if task is not None and "options" in vars(task):
            return getattr(task.options, self._name, None)
        declared = getattr(kind, "_declared", {})
        given = {**declared, **(getattr(task, "_given", {}))}
        return given.get(self._name, getattr(_DEFAULTS, self._name, None))

    def __set__(self, task: Any, value: Any) -> None:
        task._change({self._name: value})


class ShownOptions:
    """The attributes of options that Celery's tasks have too. A class that gives its tasks further
    ones shows these as well."""

    #: The options that the class gives to its tasks.
    _declared: Mapping[str, Any] = {}

    queue: str | None = shown("queue")
    priority: int = shown("priority")
    max_retries: int | None = shown("max_retries")
    default_retry_delay: float = shown("default_retry_delay")
    autoretry_for: tuple[type[BaseException], ...] = shown("autoretry_for")
    dont_autoretry_for: tuple[type[BaseException], ...] = shown("dont_autoretry_for")
    retry_kwargs: Mapping[str, Any] = shown("retry_kwargs")
    retry_backoff: float = shown("retry_backoff")
    retry_backoff_max: float = shown("retry_backoff_max")
    retry_jitter: bool = shown("retry_jitter")
    time_limit: float | None = shown("time_limit")
    soft_time_limit: float | None = shown("soft_time_limit")
    ignore_result: bool = shown("ignore_result")
    typing: bool = shown("typing")


def declared(kind: type, own: Mapping[type, Mapping[str, Any]], known: frozenset[str]) -> Any:
    """The options that a class and its bases give, as Python's attributes would be found.

    own: the options of those classes that have given up their attributes for shown ones.
    known: the names of options, also of those that will be refused.
    """
    found: dict[str, Any] = {}
    for each in reversed(kind.__mro__):
        attributes = own.get(each)
        if attributes is None:
            attributes = {name: value for name, value in vars(each).items() if name in known}
        found |= {n: v for n, v in attributes.items() if not isinstance(v, _Shown)}
    return found
