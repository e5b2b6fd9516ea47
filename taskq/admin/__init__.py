"""The Django admin: tasks to look at, to retry and to delete; workers to look at;
schedules to pause."""

from taskq.admin.schedules import ScheduleAdmin
from taskq.admin.tasks import TaskAdmin
from taskq.admin.workers import WorkerAdmin

__all__ = ["ScheduleAdmin", "TaskAdmin", "WorkerAdmin"]
