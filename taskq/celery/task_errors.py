"""The error of a task that failed, as an exception of the task's own class too.

``except OutOfStock:`` around ``result.get()`` catches what it caught in Celery. The exception
itself is gone: there are the path of its class, its text and its traceback.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

from taskq.exceptions import TaskFailed
from taskq.lookup import LOST


def task_error(kind: str, error: str, traceback: str) -> TaskFailed:
    """A TaskFailed, which is of the class with this path as well, where this process knows it.

    No module is imported for it: the path comes from a row.

    kind: the path of the class of the error of its last run. error, traceback: the texts of the
        task's error, which may be another one: an error that the database refused has no class.
    """
    is_its_own = kind == LOST or error.startswith(kind.removeprefix("builtins."))
    found: Any = _loaded(kind) if is_its_own else None
    made = TaskFailed if found is None else _as(found)
    return made(error, traceback)


def _loaded(kind: str) -> type[Exception] | None:
    """The class with this path. A class in a function has none that leads to it."""
    module, _, name = kind.rpartition(".")
    while module and module not in sys.modules:
        module, _, outer = module.rpartition(".")
        name = f"{outer}.{name}"
    found: Any = sys.modules.get(module)
    for each in name.split("."):
        found = vars(found).get(each) if hasattr(found, "__dict__") else None
    return found if isinstance(found, type) and issubclass(found, Exception) else None


@functools.cache
def _as(kind: type[Exception]) -> type[TaskFailed]:
    """A class that is a TaskFailed and of this kind. Its name stays, as its text says the other."""
    if issubclass(TaskFailed, kind) or issubclass(kind, TaskFailed):
        return TaskFailed
    try:
        return type("TaskFailed", (_TaskError, kind), {"__module__": TaskFailed.__module__})
    except Exception:  # a class need not let another one inherit from it
        return TaskFailed


class _TaskError(TaskFailed):
    def __init__(self, error: str, traceback: str = "") -> None:
        # Not the constructor of the task's class, which may ask for more.
        Exception.__init__(self, error)
        self.traceback = traceback

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        _, kind = type(self).__bases__
        path = f"{kind.__module__}.{kind.__qualname__}"
        return task_error, (path, str(self), self.traceback)
