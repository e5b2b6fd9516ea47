"""``taskq.models``, for modules that a site may import before Django has loaded its apps.

A project's ``__init__.py`` imports its Celery app, and an ``apps.py`` may import a task. At that
time there can be no models, so each is taken from ``taskq.models`` when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from taskq.models import (
        Edge,
        FinishedTask,
        Result,
        SentWorkflow,
        Task,
        TaskQuerySet,
        Worker,
    )

__all__ = ["Edge", "FinishedTask", "Result", "SentWorkflow", "Task", "TaskQuerySet", "Worker"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Else Django would name some model of taskq's, and not the setting.
    if apps.apps_ready and not apps.is_installed("taskq"):
        raise ImproperlyConfigured("taskq is not installed: add 'taskq' to INSTALLED_APPS")
    # Kept: a call that sends a task asks each time.
    found = globals()[name] = getattr(importlib.import_module("taskq.models"), name)
    return found
