"""The Django admin of taskq.

It shows tasks, workflows, results, finished tasks and workers. A person can retry, cancel and
delete tasks, retry and cancel workflows, and pause schedules and queues.
"""

from taskq.admin.finished import FinishedTaskAdmin
from taskq.admin.losses import LossAdmin
from taskq.admin.pauses import PausedQueueAdmin
from taskq.admin.results import ResultAdmin
from taskq.admin.schedules import ScheduleAdmin
from taskq.admin.tasks import TaskAdmin
from taskq.admin.workers import WorkerAdmin
from taskq.admin.workflows import WorkflowAdmin

__all__ = [
    "FinishedTaskAdmin",
    "LossAdmin",
    "PausedQueueAdmin",
    "ResultAdmin",
    "ScheduleAdmin",
    "TaskAdmin",
    "WorkerAdmin",
    "WorkflowAdmin",
]
