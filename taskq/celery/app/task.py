"""Celery's ``Task`` and ``Context``, under the path that they have there."""

from taskq.celery.task import Task
from taskq.task.request import Request as Context

__all__ = ["Context", "Task"]
