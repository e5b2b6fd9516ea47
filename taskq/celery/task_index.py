"""``app.tasks``: the registered tasks by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from taskq.celery import decorator
from taskq.celery.options_in_force import settle
from taskq.exceptions import UnknownTask
from taskq.task import registry
from taskq.task.registry import Definition


class TaskIndex(Mapping[str, Any]):
    """The tasks of this process, of whatever app or decorator."""

    def __getitem__(self, name: str) -> Any:
        return definition(name).bound

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and registry.find(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(registry.names())

    def register(self, task: Any) -> None:
        """Register a task again, or an instance of a class with a method ``run``."""
        if "options" in vars(task):
            settle(task)
        else:
            decorator.register(task, None)

    def unregister(self, task: Any) -> None:
        """Forget a task, or the one with this name. Raises UnknownTask when there is none."""
        registry.forget(definition(getattr(task, "name", task)).name)

    def __len__(self) -> int:
        return len(registry.names())


def definition(name: str) -> Definition:
    """The task that is registered by this name. Raises UnknownTask, with the names that are alike.

    Only what is registered can be sent by name: else a typing error would wait for ever.
    """
    found = registry.find(name)
    if found is None:
        near = difflib.get_close_matches(str(name), registry.names(), n=3)
        hint = f"did you mean {' or '.join(near)}" if near else "is it in an app's tasks.py"
        raise UnknownTask(
            f"no task is registered by the name {name!r}: {hint}? Code without the task's module "
            "can register a function of that name, or write a row"
        )
    return found
