"""The tasks of taskq itself. A pool imports them as it imports those of each app."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Sequence
from typing import Any

from asgiref.sync import async_to_sync
from django.db import router

from taskq.celery import shared_task, signature
from taskq.failures import Kind, Place, walk
from taskq.models import Task

#: What can be done to the failed tasks of a kind.
VERBS = ("retry", "discard")
#: Seconds between two steps.
STEP = 1.0


def _key(verb: str, name: str, error: str, place: str, *rest: object) -> str:
    """Of two persons who press a button, the second one joins the step that waits."""
    return f"{verb} {Kind(name, error, place).key}"


@shared_task(name="taskq.work_off_failures", atomic=True, unique=_key)
def work_off_failures(
    verb: str,
    name: str,
    error: str,
    place: str,
    until: str,
    per_second: int,
    after: tuple[str, int] | None = None,
    done: int = 0,
) -> None:
    """Retry or discard the failed tasks of a kind, at a pace.

    Each step is a task of its own, which acts on some and sends the next step, in one transaction.
    So no worker is blocked, a stop costs nothing, and each failed task is met once. A step waits
    in line behind the tasks that the last one has retried.

    Args:
        verb: "retry" or "discard".
        name, error, place: The kind, as in ``taskq.failures.Kind``.
        until: Only tasks that had failed by then, in ISO format.
        per_second: How many tasks in a step, which takes a second.
        after: Where the last step ended: a time in ISO format, and an id.
        done: How many tasks the steps before have acted on.
    """
    if verb not in VERBS:
        raise ValueError(f"verb is {verb!r}: use one of {', '.join(VERBS)}")
    begin = None if after is None else Place(datetime.datetime.fromisoformat(after[0]), after[1])
    kind, last = Kind(name, error, place), datetime.datetime.fromisoformat(until)
    ids, end = walk(router.db_for_write(Task), kind, until=last, after=begin, many=per_second)
    tasks = Task.objects.filter(pk__in=ids)
    done += tasks.retry() if verb == "retry" else tasks.discard()
    if end is not None:
        here = (end.failed_at.isoformat(), end.id)
        work_off_failures.apply_async(
            (verb, name, error, place, until, per_second, here, done),
            countdown=STEP,
            queue=work_off_failures.request.queue,
        )


@shared_task(name="taskq.send", atomic=True)
def send(task: dict[str, Any]) -> None:
    """Send what this signature is, such as a chain: the tick of a schedule sends one task. The rows
    of the workflow and the end of this run are one transaction, so they are there once."""
    signature(task).apply_async()


@shared_task(name="taskq.collect", ignore_result=False)
def collect(values: Any) -> Any:
    """The values of a group as that of one task, where a step must come behind the group."""
    return values


@shared_task(name="taskq.map", ignore_result=False)
def map_each(task: dict[str, Any], it: Sequence[Any]) -> list[Any]:
    """Call a task with each argument, and return the values: ``task.map(it)``."""
    call = _function(task)
    return [call(item) for item in it]


@shared_task(name="taskq.starmap", ignore_result=False)
def starmap_each(task: dict[str, Any], it: Sequence[Sequence[Any]]) -> list[Any]:
    """As :func:`map_each`, where each item is the positional arguments."""
    call = _function(task)
    return [call(*items) for items in it]


def _function(task: dict[str, Any]) -> Any:
    """The task of a signature, to be called here."""
    found = signature(task).type

    async def awaited(*args: Any) -> Any:
        return await found(*args)

    return async_to_sync(awaited) if inspect.iscoroutinefunction(found.run) else found
