"""What a class of tasks may do around the runs of its tasks, as in Celery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import FunctionType, MethodType
from typing import Any

#: Called once a run has ended.
AFTER = ("on_success", "on_failure", "on_retry", "after_return")
ALL = ("before_start", *AFTER)


class TaskHooks:
    """Methods that do nothing until a subclass of Task, or an option, replaces them.

    ``before_start`` is a part of the run: it fails the task if it raises. The others are called
    once the run's end is written, and harm nothing: what they raise is logged.
    """

    def before_start(self, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """The function is about to be called."""

    def on_success(
        self, retval: Any, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        """It returned this."""

    def on_failure(
        self,
        exc: BaseException,
        task_id: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        einfo: Any,
    ) -> None:
        """The task failed for good. ``einfo`` has ``exception``, ``type`` and ``traceback``."""

    def on_retry(
        self,
        exc: BaseException | None,
        task_id: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        einfo: Any,
    ) -> None:
        """The task will run again."""

    def after_return(
        self,
        status: str,
        retval: Any,
        task_id: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        einfo: Any,
    ) -> None:
        """The task is over: ``status`` is SUCCESS or FAILURE, ``retval`` the value or the error."""


def give(task: TaskHooks, attributes: Mapping[str, Any]) -> None:
    """Give a task attributes of its own. A function becomes a method of the task, as in Celery."""
    for name, value in attributes.items():
        is_method = name in ALL or isinstance(value, FunctionType)
        vars(task)[name] = MethodType(value, task) if is_method else value


def has(task: TaskHooks, name: str) -> bool:
    """Whether this hook of the task does anything."""
    return name in vars(task) or getattr(type(task), name) is not getattr(TaskHooks, name)
