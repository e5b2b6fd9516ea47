"""The Django admin: tasks to look at, to retry and to delete; workers to look at."""

from taskq.admin.tasks import TaskAdmin
from taskq.admin.workers import WorkerAdmin

__all__ = ["TaskAdmin", "WorkerAdmin"]
