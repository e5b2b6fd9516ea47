"""``current_task`` and ``current_app``: the running task and the app, as in Celery."""

from __future__ import annotations

from typing import Any

from taskq.celery import apps
from taskq.celery.task import Task
from taskq.task import registry
from taskq.task.request import current


def running_task() -> Task[..., Any] | None:
    """The task that runs; None while no task of taskq.celery runs here."""
    request = current.get()
    definition = registry.find(request.name) if request is not None else None
    bound = definition.bound if definition is not None else None
    return bound if isinstance(bound, Task) else None


class _CurrentTask:
    """Stands for the running task, as Celery's ``current_task`` does.

    While no task of taskq.celery runs here, it is false and has no attributes.
    """

    def _get_current_object(self) -> Task[..., Any] | None:
        """The task itself; None for none."""
        return running_task()

    def __getattr__(self, name: str) -> Any:
        task = running_task()
        if task is None:
            raise AttributeError(f"current_task has no {name}: no task of taskq.celery runs here")
        return getattr(task, name)

    def __bool__(self) -> bool:
        return running_task() is not None

    def __eq__(self, other: object) -> bool:
        return running_task() is other

    def __hash__(self) -> int:
        return hash(running_task())

    def __repr__(self) -> str:
        return repr(running_task())


class _CurrentApp:
    """Stands for the current app. Where the project has made none, it makes one with the settings
    ``CELERY_…`` of Django's."""

    def _get_current_object(self) -> Any:
        """The app itself."""
        return apps.current()

    def __getattr__(self, name: str) -> Any:
        return getattr(apps.current(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(apps.current(), name, value)

    def __eq__(self, other: object) -> bool:
        return apps.current() is other

    def __hash__(self) -> int:
        return hash(apps.current())

    def __repr__(self) -> str:
        return repr(apps.current())


current_task = _CurrentTask()
current_app = _CurrentApp()
