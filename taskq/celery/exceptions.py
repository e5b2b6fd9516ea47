"""Celery's exceptions by their names. Where taskq or Django has one of that meaning, it is that
one."""

from __future__ import annotations

import builtins

import django.core.exceptions
import django.db

from taskq.exceptions import (
    ChordError,
    Ignore,
    IncompleteStream,
    MaxRetriesExceededError,
    Reject,
    Retry,
    SoftTimeLimitExceeded,
    TaskFailed,
    TaskqError,
    TaskRevokedError,
    UnknownTask,
    WorkerLost,
)

CeleryError = TaskError = TaskPredicate = TaskqError
ImproperlyConfigured = django.core.exceptions.ImproperlyConfigured
#: Sending is an INSERT, so what a broker's absence was is the database's now.
OperationalError = django.db.OperationalError
TimeoutError = builtins.TimeoutError
NotRegistered = UnknownTask
WorkerLostError = WorkerLost
BackendError = TaskFailed
RetryTaskError = Retry


class TimeLimitExceeded(TaskqError):
    """Never raised: a run above its hard limit is killed, which counts as a loss."""


class Terminated(TaskqError):
    """Never raised: ``TaskCancelled`` is raised in a run that is cancelled."""


class AlreadyRegistered(TaskqError):
    """Never raised: a second task with a name is a ValueError."""


class QueueNotFound(TaskqError, KeyError):
    """Never raised: a queue is a name, and need not be declared."""


class InvalidTaskError(TaskqError):
    """Never raised: arguments that do not fit are a TypeError at the call."""


class SecurityError(TaskqError):
    """Never raised: a pickle with a bad signature is a PayloadError."""


class CeleryWarning(UserWarning):
    """The base of Celery's warnings. None of them is given."""


class AlwaysEagerIgnored(CeleryWarning):
    """Never given."""


class DuplicateNodenameWarning(CeleryWarning):
    """Never given."""


class FixupWarning(CeleryWarning):
    """Never given."""


class NotConfigured(CeleryWarning):
    """Never given."""


class CDeprecationWarning(DeprecationWarning):
    """Never given."""


class CPendingDeprecationWarning(PendingDeprecationWarning):
    """Never given."""


__all__ = [
    "AlreadyRegistered",
    "AlwaysEagerIgnored",
    "BackendError",
    "CDeprecationWarning",
    "CPendingDeprecationWarning",
    "CeleryError",
    "CeleryWarning",
    "ChordError",
    "DuplicateNodenameWarning",
    "FixupWarning",
    "Ignore",
    "ImproperlyConfigured",
    "IncompleteStream",
    "InvalidTaskError",
    "MaxRetriesExceededError",
    "NotConfigured",
    "NotRegistered",
    "OperationalError",
    "QueueNotFound",
    "Reject",
    "Retry",
    "RetryTaskError",
    "SecurityError",
    "SoftTimeLimitExceeded",
    "TaskError",
    "TaskPredicate",
    "TaskRevokedError",
    "Terminated",
    "TimeLimitExceeded",
    "TimeoutError",
    "WorkerLostError",
]
