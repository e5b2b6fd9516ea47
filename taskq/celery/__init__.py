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
    from taskq.celery.current import current_task
    from taskq.celery.decorator import shared_task
    from taskq.celery.eager import EagerResult
    from taskq.celery.joining import allow_join_result
    from taskq.celery.result_set import GroupResult, ResultSet, result_from_tuple
    from taskq.celery.schedules import crontab, schedule
    from taskq.celery.task import SharedTask
    from taskq.exceptions import (
        ChordError,
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
    "ChordError",
    "EagerResult",
    "GroupResult",
    "MaxRetriesExceededError",
    "NoResult",
    "ResultSet",
    "Retry",
    "SharedTask",
    "Signature",
    "SoftTimeLimitExceeded",
    "TaskCancelled",
    "TaskFailed",
    "TaskRevokedError",
    "allow_join_result",
    "chain",
    "chord",
    "chunks",
    "crontab",
    "current_task",
    "group",
    "maybe_signature",
    "result_from_tuple",
    "schedule",
    "shared_task",
    "signature",
    "subtask",
    "xmap",
    "xstarmap",
]

#: Where each name is defined.
_HOMES = {
    "AsyncResult": "taskq.celery.async_result",
    "EagerResult": "taskq.celery.eager",
    "GroupResult": "taskq.celery.result_set",
    "ResultSet": "taskq.celery.result_set",
    "SharedTask": "taskq.celery.task",
    "Signature": "taskq.celery.canvas",
    "allow_join_result": "taskq.celery.joining",
    "chain": "taskq.celery.canvas",
    "chord": "taskq.celery.canvas",
    "chunks": "taskq.celery.canvas",
    "crontab": "taskq.celery.schedules",
    "current_task": "taskq.celery.current",
    "group": "taskq.celery.canvas",
    "maybe_signature": "taskq.celery.canvas",
    "result_from_tuple": "taskq.celery.result_set",
    "schedule": "taskq.celery.schedules",
    "shared_task": "taskq.celery.decorator",
    "signature": "taskq.celery.canvas",
    "subtask": "taskq.celery.canvas",
    "xmap": "taskq.celery.canvas",
    "xstarmap": "taskq.celery.canvas",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOMES.get(name, "taskq.exceptions")), name)
    globals()[name] = found
    return found
