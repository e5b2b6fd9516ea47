"""The current app and task, under the path where apps of others look for them."""

from __future__ import annotations

from typing import Any

from taskq.celery import apps
from taskq.celery.current import current_app, current_task, running_task


def get_current_app() -> Any:
    """The current app."""
    return apps.current()


def get_current_task() -> Any:
    """The task that runs; None for none."""
    return running_task()


def set_default_app(app: Any) -> None:
    """Make an app the current one."""
    apps.set_current(app)


def get_current_worker_task() -> Any:
    """As :func:`get_current_task`."""
    return running_task()


__all__ = [
    "current_app",
    "current_task",
    "get_current_app",
    "get_current_task",
    "get_current_worker_task",
    "set_default_app",
]
