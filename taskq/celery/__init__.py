"""The door for Celery users, with the names and the modules that Celery has.

``from taskq.celery import …`` in place of Celery's is meant to be the whole change.
docs/how-to/migrating/celery.md says what differs, and why.

Each name is imported when it is first used: settings import ``taskq.celery.schedules``, and at that
time there are no models. For the same reason what makes the app and the tasks imports no models:
the ``celery.py`` of a project is imported before Django loads its apps.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from taskq.task import discovery

if TYPE_CHECKING:
    from taskq.celery import exceptions, result, signals, states
    from taskq.celery.app.base import Celery
    from taskq.celery.async_result import AsyncResult
    from taskq.celery.canvas import (
        Signature,
        chain,
        chord,
        chunks,
        group,
        maybe_signature,
        signature,
        subtask,
        xmap,
        xstarmap,
    )
    from taskq.celery.current import current_app, current_task
    from taskq.celery.decorator import shared_task
    from taskq.celery.eager import EagerResult
    from taskq.celery.joining import allow_join_result
    from taskq.celery.result_set import GroupResult, ResultSet, result_from_tuple
    from taskq.celery.schedules import crontab, schedule
    from taskq.celery.task import Task
    from taskq.celery.utils import uuid
    from taskq.celery.utils.log import get_task_logger
    from taskq.exceptions import (
        ChordError,
        Ignore,
        MaxRetriesExceededError,
        NoResult,
        Reject,
        Retry,
        SoftTimeLimitExceeded,
        TaskCancelled,
        TaskFailed,
        TaskRevokedError,
    )

__all__ = [
    "AsyncResult",
    "Celery",
    "ChordError",
    "EagerResult",
    "GroupResult",
    "Ignore",
    "MaxRetriesExceededError",
    "NoResult",
    "Reject",
    "ResultSet",
    "Retry",
    "Signature",
    "SoftTimeLimitExceeded",
    "Task",
    "TaskCancelled",
    "TaskFailed",
    "TaskRevokedError",
    "allow_join_result",
    "chain",
    "chord",
    "chunks",
    "crontab",
    "current_app",
    "current_task",
    "exceptions",
    "get_task_logger",
    "group",
    "maybe_signature",
    "result",
    "result_from_tuple",
    "schedule",
    "shared_task",
    "signals",
    "signature",
    "states",
    "subtask",
    "uuid",
    "xmap",
    "xstarmap",
]

#: Where each name is defined.
_HOMES = {
    "AsyncResult": "taskq.celery.async_result",
    "Celery": "taskq.celery.app.base",
    "EagerResult": "taskq.celery.eager",
    "GroupResult": "taskq.celery.result_set",
    "ResultSet": "taskq.celery.result_set",
    "Signature": "taskq.celery.canvas",
    "Task": "taskq.celery.task",
    "allow_join_result": "taskq.celery.joining",
    "chain": "taskq.celery.canvas",
    "chord": "taskq.celery.canvas",
    "chunks": "taskq.celery.canvas",
    "crontab": "taskq.celery.schedules",
    "current_app": "taskq.celery.current",
    "current_task": "taskq.celery.current",
    "get_task_logger": "taskq.celery.utils.log",
    "group": "taskq.celery.canvas",
    "maybe_signature": "taskq.celery.canvas",
    "result_from_tuple": "taskq.celery.result_set",
    "schedule": "taskq.celery.schedules",
    "shared_task": "taskq.celery.decorator",
    "signature": "taskq.celery.canvas",
    "subtask": "taskq.celery.canvas",
    "uuid": "taskq.celery.utils",
    "xmap": "taskq.celery.canvas",
    "xstarmap": "taskq.celery.canvas",
}
_MODULES = ("exceptions", "result", "signals", "states")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOMES.get(name, "taskq.exceptions")), name)
    globals()[name] = found
    return found


def _set_up() -> None:
    """Import what must be there though nobody names it, once there are models."""
    for name in ("checks", "signal_bridge", "app.default"):
        importlib.import_module(f"{__name__}.{name}")


discovery.when_found(_set_up)
