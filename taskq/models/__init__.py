"""The tables, as Django's models."""

from taskq.models.finished import FinishedTask
from taskq.models.idempotency_keys import IdempotencyKey
from taskq.models.losses import Loss
from taskq.models.paused_queues import PausedQueue
from taskq.models.results import Result
from taskq.models.schedules import Schedule
from taskq.models.stacks import StackRequest
from taskq.models.statistics import RecentRun, Rollup
from taskq.models.tasks import Task
from taskq.models.workers import Worker
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
