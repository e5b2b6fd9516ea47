"""The door for Celery users: ``shared_task`` and the classes that belong to it.

``from taskq.celery import shared_task`` in place of Celery's is meant to be the
whole change. docs/how-to/migrating/celery.md says what differs, and why.
"""

from taskq.celery.current import current_task
from taskq.celery.decorator import shared_task
from taskq.celery.eager import EagerResult
from taskq.celery.joining import allow_join_result
from taskq.celery.result import AsyncResult
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
    "current_task",
    "shared_task",
]
