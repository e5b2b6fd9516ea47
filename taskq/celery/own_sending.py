"""A class of tasks with an ``apply_async()`` of its own, which adds a header to each call or the
like.

As in Celery, all calls pass through it. A step of a workflow is a row from the start, so its method
is asked when the workflow is sent: what it gives to ``super().apply_async()`` becomes the step.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

from taskq.celery.async_result import AsyncResult


class Made(NamedTuple):
    """A call, as the own ``apply_async()`` of its task has made it."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    options: Mapping[str, Any]


@dataclass
class _Question:
    task: Any
    made: Made | None = None


_asked: ContextVar[_Question | None] = ContextVar("taskq_celery_asked", default=None)


def is_there(task: Any) -> bool:
    """Whether the task has such a method. Tasks of Django's have none."""
    return bool(getattr(task, "sends_itself", False))


def ask(
    task: Any, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]
) -> Made:
    """What the method of a task makes of a call, which it does not send.

    Raises TypeError when the method does not pass the call on at once.
    """
    question = _Question(task)
    token = _asked.set(question)
    try:
        task.apply_async(tuple(args), dict(kwargs), **options)
    finally:
        _asked.reset(token)
    if question.made is None:
        raise TypeError(
            f"the apply_async() of the class of {task.name} has not called super().apply_async() "
            "with this call, so it can be no step of a workflow. If it waits for the commit, "
            "remove it: a task is part of the transaction anyway"
        )
    return question.made


def take(
    task: Any, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None, options: dict[str, Any]
) -> AsyncResult | None:
    """Take a call that a method passes on, if it was asked for it. None where it was not."""
    question = _asked.get()
    if question is None or question.task is not task or question.made is not None:
        return None
    id = options.setdefault("task_id", str(uuid.uuid4()))
    question.made = Made(args or (), kwargs or {}, options)
    return AsyncResult(id)
