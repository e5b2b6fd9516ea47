"""Why is this task not running?

``why()`` looks at the task, its queue, the workers and what waits before it. None of its queries
takes longer the more tasks wait: they are look-ups by an index, or counts with a limit.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db import router
from django.db.models.functions import Now
from django.utils import timezone

from taskq.models import State, Task
from taskq.task import ids
from taskq.why import blocked, not_waiting, waiting
from taskq.why.reason import Code, Reason

__all__ = ["Code", "Reason", "of_row", "why"]


def why(task_id: int | str | uuid.UUID, using: str | None = None) -> list[Reason]:
    """Say why a task is not running, or what has become of it.

    Args:
        task_id: The primary key of its row, or the UUID that ``AsyncResult`` shows.
        using: The alias of the database. By default the router decides.

    Returns:
        What holds the task up, and after that what else there is to know. At least one reason.

    Raises:
        ValueError: ``task_id`` is neither a number nor a UUID.
    """
    id = min(ids.parse(task_id), ids.TOO_LARGE - 1)
    alias = using or router.db_for_write(Task)
    rows = Task.objects.using(alias).filter(pk=id).select_related("worker")
    task: Any = rows.defer("payload", "traceback", "history").annotate(now=Now()).first()
    return not_waiting.gone(id, alias, timezone.now()) if task is None else of_row(task, alias)


def of_row(task: Any, alias: str) -> list[Reason]:
    """The same of a task whose row was read, with its worker and the database's ``now``."""
    if task.state == State.RUNNING:
        return not_waiting.running(task, alias, task.now)
    if task.state == State.FAILED:
        return not_waiting.failed(task, alias, task.now)
    if task.state == State.BLOCKED:
        return blocked.reasons(task, alias)
    return waiting.reasons(task, alias, task.now)
