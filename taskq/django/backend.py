"""The door for users of Django's own tasks.

    TASKS = {"default": {"BACKEND": "taskq.backend.TaskqBackend"}}

It writes rows as the other doors do, and the same workers run them.
"""

from __future__ import annotations

import functools
import json
import logging
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from django.apps import apps
from django.core.checks import CheckMessage, Error
from django.db import connections
from django.utils import timezone

from taskq.django.compat import (
    BaseTaskBackend,
    InvalidTask,
    Task,
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultStatus,
    normalize_json,
    task_enqueued,
)
from taskq.django.decorator import OPTIONS, AnyResult, AnyTask, TaskqTask
from taskq.django.listeners import is_heard
from taskq.django.results import Run, fill, task_result
from taskq.lookup import look_up
from taskq.outbox import enqueue as outbox_enqueue
from taskq.outbox.calls import Call, pairs_of
from taskq.outbox.terms import Terms
from taskq.sql import VENDORS
from taskq.task import ids, registry
from taskq.task.ids import TaskId
from taskq.task.options import task_options
from taskq.task.payload import PayloadError
from taskq.task.registry import Definition
from taskq.values import Stored, check_queue, stored_moment


class TaskqBackend(BaseTaskBackend):
    """Keeps tasks and their results in the database, for ``manage.py taskq_pool``.

    ``OPTIONS`` may name a ``database``, by its alias. By default the tasks are in the database
    to which the router sends writes of ``taskq.Task``.
    """

    task_class = TaskqTask
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        self.database: str | None = self.options.get("database")
        #: For each function, the task that was last found valid, and its definition.
        self._valid: dict[Callable[..., Any], tuple[AnyTask, Definition]] = {}

    def validate_task(self, task: AnyTask) -> None:
        """Check a task and register it, so that workers know it. Django calls this for each task.

        Raises:
            InvalidTask: It cannot be sent or run.
        """
        super().validate_task(task)
        definition = self._registered(task)
        if task.run_after is None:  # whether a time is valid depends on USE_TZ, which may change
            self._valid[task.func] = task, definition

    def _definition(self, task: AnyTask) -> Definition:
        """The definition of a task that is about to be sent. Raises as :meth:`validate_task`."""
        valid = self._valid.get(task.func)
        if (
            valid is not None
            and valid[0] is task
            and registry.find(valid[1].name) is valid[1]
            and type(self).validate_task is TaskqBackend.validate_task  # a subclass checks more
        ):
            return valid[1]
        self.validate_task(task)
        return self._registered(task)

    def _registered(self, task: AnyTask) -> Definition:
        known = registry.find(task.module_path)
        if known is not None and known.function is task.func and _alike(known.bound, task):
            return known
        if task.func.__name__ == "<lambda>":
            raise InvalidTask("Task function must have a name of its own: a lambda has none.")
        # A TypeError or ValueError for one of taskq's options is not wrapped.
        options = task_options({"ignore_result": False, **_options(task)})
        try:
            check_queue(task.queue_name)
            definition = Definition(
                task.module_path,
                task.func,
                replace(options, queue=task.queue_name, priority=int(task.priority)),
                bound=task,
                hooks=functools.partial(Run, task),
                database=self.database,
            )
            registry.register(definition)
        except (TypeError, ValueError) as error:
            raise InvalidTask(str(error)) from error
        return definition

    def enqueue(  # type: ignore[override]  # the stubs' are of one task's own types
        self, task: AnyTask, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> AnyResult:
        """Write the task, in the transaction of the caller.

        Raises:
            TypeError: JSON cannot carry the arguments.
            ValueError: They are above ``MAX_PAYLOAD``.
        """
        definition = self._definition(task)
        args, kwargs = _plain(args, kwargs)
        sent = outbox_enqueue.enqueue(
            definition.name,
            args,
            kwargs,
            definition.options,
            using=self.database,
            idempotency_key=getattr(task, "idempotency_key", None),
            timed=True,
            **_terms(task, definition),
        )
        waiting = self._waiting(task, sent.id, args, kwargs, sent.written_at)
        return self._joined(waiting) if sent.joined else self._announced(waiting)

    def enqueue_many(self, task: AnyTask, calls: Iterable[Call]) -> list[AnyResult]:
        """Write a task for each call, by one statement: see ``TaskqTask.enqueue_many``."""
        definition = self._definition(task)
        if getattr(task, "idempotency_key", None) is not None:
            raise ValueError("idempotency_key is for one call: send this one with enqueue()")
        pairs = [_plain(args, kwargs) for args, kwargs in pairs_of(calls)]
        sent, written_at = outbox_enqueue.enqueue_many(
            definition.name,
            pairs,
            definition.options,
            using=self.database,
            timed=True,
            **_terms(task, definition),
        )
        results: dict[int, AnyResult] = {}  # calls with the same key share a result
        for id, (args, kwargs) in zip(sent, pairs, strict=True):
            if id not in results:
                waiting = self._waiting(task, id, args, kwargs, written_at.get(id))
                new = id in written_at
                results[id] = self._announced(waiting) if new else self._joined(waiting)
        return [results[id] for id in sent]

    def get_result(self, result_id: str | uuid.UUID | int) -> AnyResult:
        """What became of a task so far.

        Args:
            result_id: The id that ``enqueue()`` returned, its UUID, or the primary key of the row.

        Raises:
            TaskResultDoesNotExist: The id is not known, or no longer, or the task is none of
                Django's.
        """
        try:
            id = ids.parse(result_id)
        except ValueError as error:
            raise TaskResultDoesNotExist(result_id) from error
        known = look_up(id, self.database) if id < ids.TOO_LARGE else None
        definition = registry.find(known.name) if known is not None else None
        if known is None or definition is None or not isinstance(definition.bound, Task):
            raise TaskResultDoesNotExist(result_id)
        return task_result(known, definition.bound, self.alias)

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        where = f"TASKS[{self.alias!r}]"
        messages = [*super().check(**kwargs)]
        if not apps.is_installed("taskq"):
            hint = "Add 'taskq' to INSTALLED_APPS, and migrate."
            messages.append(Error(f"{where}: taskq is not installed.", hint=hint, id="taskq.E006"))
        for name in sorted(self.options.keys() - {"database"}):
            messages.append(
                Error(f"{where}['OPTIONS'] has {name!r}.", hint=_KNOWN_OPTIONS, id="taskq.E007")
            )
        if self.database is not None:
            messages += _check_database(f"{where}['OPTIONS']['database']", self.database)
        for queue in sorted(self.queues, key=str):
            try:
                check_queue(queue)
            except (TypeError, ValueError) as error:
                messages.append(Error(f"{where}['QUEUES']: {error}.", id="taskq.E009"))
        return messages

    def _announced(self, result: AnyResult) -> AnyResult:
        if is_heard(task_enqueued, logging.DEBUG):
            task_enqueued.send(type(self), task_result=result)
        return result

    def _joined(self, waiting: AnyResult) -> AnyResult:
        """The result of a task that existed and was joined. If nothing is left of it, or its row
        cannot be read, it looks like a new one."""
        try:
            return self.get_result(waiting.id)
        except (TaskResultDoesNotExist, PayloadError):
            return waiting

    def _waiting(
        self, task: AnyTask, id: int, args: list[Any], kwargs: dict[str, Any], at: Stored | None
    ) -> AnyResult:
        if isinstance(task, TaskqTask) and task.idempotency_key:  # a call's key, not the task's
            task = replace(task, idempotency_key=None)
        result: AnyResult = TaskResult(
            task=task,
            id=TaskId.of(id),
            status=TaskResultStatus.READY,
            enqueued_at=timezone.now() if at is None else stored_moment(at),
            started_at=None,
            last_attempted_at=None,
            finished_at=None,
            args=[],
            kwargs={},
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )
        # Not by its __init__, which would make plain JSON of them again.
        fill(result, args=args, kwargs=kwargs)
        return result


_KNOWN_OPTIONS = (
    "Known is 'database'. What concerns the workers is in the setting TASKQ, and what "
    "concerns one task in its decorator."
)


def _check_database(where: str, alias: str) -> list[CheckMessage]:
    if alias not in connections:
        text, hint = "no such database", f"Name one of {', '.join(connections)}."
    elif (vendor := connections[alias].vendor) not in VENDORS:
        text, hint = f"taskq does not support {vendor}", f"Name one of {', '.join(VENDORS)}."
    else:
        return []
    return [Error(f"{where} is {alias!r}: {text}.", hint=hint, id="taskq.E008")]


#: The types of values that JSON has as they are.
_PLAIN = frozenset({str, int, float, bool, type(None)})


def _plain(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Arguments as JSON has them. Raises TypeError or ValueError in Django's words."""
    if _PLAIN.issuperset(map(type, args)) and _PLAIN.issuperset(map(type, kwargs.values())):
        return list(args), dict(kwargs)  # most calls
    plain = cast(list[Any], normalize_json(args)), cast(dict[str, Any], normalize_json(kwargs))
    if any(isinstance(each, (dict, list)) for each in (*plain[0], *plain[1].values())):
        plain = tuple(json.loads(json.dumps(plain)))  # JSON makes the keys of a dict str
    return plain


def _terms(task: AnyTask, definition: Definition) -> Terms:
    if task is definition.bound and task.run_after is None:  # its options have them
        return {}
    return {"queue": task.queue_name, "priority": int(task.priority), "eta": task.run_after}


def _options(task: object) -> dict[str, Any]:
    return {name: getattr(task, name) for name in OPTIONS} if isinstance(task, TaskqTask) else {}


def _alike(one: object, other: AnyTask) -> bool:
    """Whether two tasks are the same for a worker. What ``using()`` changes may differ: queue,
    priority, time and backend."""
    return (
        isinstance(one, Task)
        and one.takes_context == other.takes_context
        and _options(one) == _options(other)
    )
