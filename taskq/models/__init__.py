"""The tables, as Django's models."""

from taskq.models.finished import FinishedTask
from taskq.models.losses import Loss
from taskq.models.schedules import Schedule
from taskq.models.stacks import StackRequest
from taskq.models.statistics import RecentRun, Rollup
from taskq.models.tasks import IdempotencyKey, PausedQueue, Result, Task, Worker
from taskq.models.workflows import Edge, SentWorkflow
from taskq.querysets import Cancelled, TaskQuerySet
from taskq.task.states import SHOWN_WHEN, EdgeState, On, ShownState, State

__all__ = [
    "SHOWN_WHEN",
    "Cancelled",
    "Edge",
    "EdgeState",
    "FinishedTask",
    "IdempotencyKey",
    "Loss",
    "On",
    "PausedQueue",
    "RecentRun",
    "Result",
    "Rollup",
    "Schedule",
    "SentWorkflow",
    "ShownState",
    "StackRequest",
    "State",
    "Task",
    "TaskQuerySet",
    "Worker",
]
