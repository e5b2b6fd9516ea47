"""The Django admin: tasks to look at, to retry and to delete; results and workers to look at;
schedules and queues to pause."""

from taskq.admin.pauses import PausedQueueAdmin
from taskq.admin.results import ResultAdmin
from taskq.admin.schedules import ScheduleAdmin
from taskq.admin.tasks import TaskAdmin
from taskq.admin.workers import WorkerAdmin

__all__ = ["PausedQueueAdmin", "ResultAdmin", "ScheduleAdmin", "TaskAdmin", "WorkerAdmin"]
