"""The tasks that were sent. They are read from the table, so rolled-back tasks do not count."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import router
from django.db.models import Max

from taskq.models import State, Task
from taskq.task import payload

#: The states of tasks that were sent and have not started.
_WAIT = (State.READY, State.BLOCKED)


@dataclass(frozen=True, kw_only=True)
class Enqueued:
    """A task that waits.

    Attributes:
        id: The primary key of its row.
        name: The name of the task.
        args: Positional arguments, as the function will get them.
        kwargs: Keyword arguments, as the function will get them.
        queue: The queue that it waits in.
        priority: -100 to 100. A higher one runs sooner.
        due: The time from which it may start.
        expires: The time at which it is dropped if it has not started. None: never.
    """

    id: int
    name: str
    args: list[Any]
    kwargs: dict[str, Any]
    queue: str
    priority: int
    due: datetime.datetime
    expires: datetime.datetime | None

    def __str__(self) -> str:
        words = [*map(repr, self.args), *(f"{key}={each!r}" for key, each in self.kwargs.items())]
        return f"{self.name}({', '.join(words)}) on {self.queue!r}"


@contextmanager
def captured_tasks(*, using: str | None = None, execute: bool = False) -> Iterator[list[Enqueued]]:
    """Yield a list that holds the tasks that the block has sent, once the block ends.

    It works as Django's ``captureOnCommitCallbacks`` and takes the same arguments. Tasks that were
    rolled back, or that ran within the block, are not in the list.

    Args:
        using: The alias of the database. By default the router decides.
        execute: At the end of the block, run all tasks that are due, as ``run_all()`` does.
    """
    from taskq.testing.draining import run_all

    found: list[Enqueued] = []
    before = _tasks(using).aggregate(last=Max("pk"))["last"] or 0
    yield found
    found += map(_enqueued, _tasks(using).filter(pk__gt=before, state__in=_WAIT).order_by("pk"))
    if execute:
        run_all(using=using)


def assert_enqueued(
    task: object,
    *,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    queue: str | None = None,
    times: int | None = None,
    using: str | None = None,
) -> list[Enqueued]:
    """Assert that a task waits in the table, once or more.

    Args:
        task: The task, of either decorator, or its name.
        args: Count only tasks with these positional arguments. By default any.
        kwargs: Count only tasks with these keyword arguments. By default any.
        queue: Count only tasks of this queue. By default any.
        times: Assert that exactly so many wait. 0 is for none. By default one or more.
        using: The alias of the database. By default the router decides.

    Returns:
        The tasks that match, oldest first.

    Raises:
        AssertionError: The number is another. The text lists the tasks that do wait.
        TypeError: ``task`` is no task.
    """
    name = _name(task)
    all_of_them = [_enqueued(each) for each in _tasks(using).filter(state__in=_WAIT)]
    wanted_args, wanted_kwargs = payload.decode(
        payload.encode(args or (), kwargs or {}, task=name), name
    )
    found = [
        each
        for each in all_of_them
        if each.name == name
        and (args is None or each.args == wanted_args)
        and (kwargs is None or each.kwargs == wanted_kwargs)
        and (queue is None or each.queue == queue)
    ]
    good = bool(found) if times is None else len(found) == times
    if not good:
        number = "at least once" if times is None else f"{times} times"
        given = {"args": args, "kwargs": kwargs, "queue": queue}
        like = "".join(f", {key}={each!r}" for key, each in given.items() if each is not None)
        waits = "".join(f"\n  {each}" for each in all_of_them) or " nothing"
        raise AssertionError(
            f"{name}{like} should wait {number}, and does {len(found)} times. What waits:{waits}"
        )
    return found


def _tasks(using: str | None) -> Any:
    return Task.objects.using(using or router.db_for_write(Task)).order_by("pk")


def _enqueued(task: Task) -> Enqueued:
    args, kwargs = payload.decode(task.payload, task.name)
    return Enqueued(
        id=task.pk,
        name=task.name,
        args=args,
        kwargs=kwargs,
        queue=task.queue,
        priority=task.priority,
        due=task.execute_at,
        expires=task.expires_at,
    )


def _name(task: object) -> str:
    # A task of Django has only the name of its function as ``name``.
    name = task if isinstance(task, str) else getattr(task, "module_path", None)
    name = name or getattr(task, "name", None)
    if not isinstance(name, str):
        raise TypeError(f"task is {task!r}: give a task, such as send_receipt, or its name")
    return name
