"""The door for Celery users: ``shared_task`` and the classes that belong to it.

``from taskq.celery import shared_task`` in place of Celery's is meant to be the
whole change. docs/how-to/migrating/celery.md says what differs, and why.

Each name is imported when it is first used: settings import ``taskq.celery.schedules``, and at that
time there are no models.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskq.celery.current import current_task
    from taskq.celery.decorator import shared_task
    from taskq.celery.eager import EagerResult
    from taskq.celery.joining import allow_join_result
    from taskq.celery.result import AsyncResult
    from taskq.celery.schedules import crontab, schedule
    from taskq.celery.signature import Signature
    from taskq.celery.task import SharedTask
    from taskq.exceptions import (
        MaxRetriesExceededError,
        NoResult,
        Retry,
        SoftTimeLimitExceeded,
        TaskCancelled,
        TaskFailed,
        TaskRevokedError,
    )

__all__ = [
    "AsyncResult",
    "EagerResult",
    "MaxRetriesExceededError",
    "NoResult",
    "Retry",
    "SharedTask",
    "Signature",
    "SoftTimeLimitExceeded",
    "TaskCancelled",
    "TaskFailed",
    "TaskRevokedError",
    "allow_join_result",
    "crontab",
    "current_task",
    "schedule",
    "shared_task",
]

#: Where each name is defined.
_HOMES = {
    "AsyncResult": "taskq.celery.result",
    "EagerResult": "taskq.celery.eager",
    "SharedTask": "taskq.celery.task",
    "Signature": "taskq.celery.signature",
    "allow_join_result": "taskq.celery.joining",
    "crontab": "taskq.celery.schedules",
    "current_task": "taskq.celery.current",
    "schedule": "taskq.celery.schedules",
    "shared_task": "taskq.celery.decorator",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOMES.get(name, "taskq.exceptions")), name)
    globals()[name] = found
    return found
