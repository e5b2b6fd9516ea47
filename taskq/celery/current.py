"""``current_task``: the running task, as in Celery."""

from __future__ import annotations

from typing import Any

from taskq.celery.task import SharedTask
from taskq.task import registry
from taskq.task.request import current


class _CurrentTask:
    """Stands for the running task, as Celery's ``current_task`` does.

    While no task of taskq.celery runs here, it is false and has no attributes.
    """

    def _get(self) -> SharedTask[..., Any] | None:
        request = current.get()
        definition = registry.find(request.name) if request is not None else None
        bound = definition.bound if definition is not None else None
        return bound if isinstance(bound, SharedTask) else None

    def __getattr__(self, name: str) -> Any:
        task = self._get()
        if task is None:
            raise AttributeError(f"current_task has no {name}: no task of taskq.celery runs here")
        return getattr(task, name)

    def __bool__(self) -> bool:
        return self._get() is not None

    def __eq__(self, other: object) -> bool:
        return self._get() is other

    def __hash__(self) -> int:
        return hash(self._get())

    def __repr__(self) -> str:
        return repr(self._get())


current_task = _CurrentTask()
