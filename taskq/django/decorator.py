"""The decorator for Django's tasks with taskq's options, and the class of these tasks."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Literal,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypeVar,
    cast,
    overload,
)

from taskq.django.compat import (
    DEFAULT_TASK_BACKEND_ALIAS,
    DEFAULT_TASK_PRIORITY,
    DEFAULT_TASK_QUEUE_NAME,
    Task,
    TaskContext,
    TaskResult,
    task_backends,
)
from taskq.outbox.calls import Call
from taskq.task import pickling
from taskq.task.options import TaskOptions, task_options
from taskq.task.timing import CatchUp, Given

if TYPE_CHECKING:
    # Generic for the type checker only: the classes in Django are not.
    AnyTask: TypeAlias = Task[..., Any]
    AnyResult: TypeAlias = TaskResult[..., Any]
    TypedTask = Task
else:
    AnyTask, AnyResult = Task, TaskResult

    class TypedTask:
        """Django's class, which lets one write ``TypedTask[P, R]``."""

        def __class_getitem__(cls, types: object) -> type[Task]:
            return Task


class SendsMany(Protocol):
    """What ``enqueue_many`` needs from its backend."""

    def enqueue_many(self, task: AnyTask, calls: Iterable[Call]) -> list[AnyResult]:
        """Send the task once for each of the calls."""


P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskqTask(TypedTask[P, R]):
    """A task of Django's with the options of taskq. The reference of task options says what each
    means, and why its default is what it is."""

    max_retries: int | None = TaskOptions.max_retries
    default_retry_delay: float = TaskOptions.default_retry_delay
    autoretry_for: tuple[type[BaseException], ...] = TaskOptions.autoretry_for
    dont_autoretry_for: tuple[type[BaseException], ...] = TaskOptions.dont_autoretry_for
    retry_backoff: float | bool = TaskOptions.retry_backoff
    retry_backoff_max: float = TaskOptions.retry_backoff_max
    retry_jitter: bool = TaskOptions.retry_jitter
    on_lost: Literal["retry", "fail"] = TaskOptions.on_lost
    atomic: bool = TaskOptions.atomic
    time_limit: float | None = TaskOptions.time_limit
    soft_time_limit: float | None = TaskOptions.soft_time_limit
    keep_finished: str | float | datetime.timedelta | None = TaskOptions.keep_finished
    schedule: Given | None = TaskOptions.schedule
    catch_up: CatchUp = TaskOptions.catch_up
    unique: str | Callable[..., str | None] | None = TaskOptions.unique
    unique_until: Literal["start", "finish"] = TaskOptions.unique_until
    sensitive: tuple[str, ...] = TaskOptions.sensitive
    # A call's key, so it does not make the task another one.
    idempotency_key: str | None = field(default=None, compare=False)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        """Pickle it by its name, with the values that ``using()`` has changed."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        del values["func"]
        return pickling.variant, (self.module_path, self.func.__module__, values)

    def enqueue_many(self, calls: Iterable[Call]) -> list[TaskResult[P, R]]:
        """Send the task once for each call, by one statement: all or none.

        Args:
            calls: The arguments of each call: a tuple or list of positional ones, or a dict of
                keyword ones.

        Returns:
            The results, in the order of the calls.

        Raises:
            TypeError: JSON cannot carry the arguments of a call.
            ValueError: They are above ``MAX_PAYLOAD``.
        """
        backend = cast(SendsMany, self.get_backend())
        return cast("list[TaskResult[P, R]]", backend.enqueue_many(self, calls))

    if TYPE_CHECKING:

        def using(
            self,
            *,
            priority: int | None = None,
            queue_name: str | None = None,
            run_after: datetime.datetime | None = None,
            backend: str | None = None,
            idempotency_key: str | None = None,
        ) -> TaskqTask[P, R]: ...

    else:

        def using(self, *, idempotency_key: str | None = None, **changes: Any) -> AnyTask:
            """This task with other terms.

            Args:
                idempotency_key: A second call with this key gets the task of the first.
                **changes: ``priority``, ``queue_name``, ``run_after`` and ``backend``, as Django
                    has them.
            """
            changed = Task.using(self, **changes)
            if idempotency_key is None or not isinstance(changed, TaskqTask):
                return changed
            return replace(changed, idempotency_key=idempotency_key)


#: The names of the options that taskq adds.
OPTIONS = frozenset(each.name for each in fields(TaskqTask)) - {
    *(each.name for each in fields(Task)),
    "idempotency_key",
}


@overload
def task(
    function: Callable[Concatenate[TaskContext[..., Any], P], R],
    *,
    takes_context: Literal[True],
    priority: int = ...,
    queue_name: str = ...,
    backend: str = ...,
    **options: Any,
) -> TaskqTask[P, R]: ...
@overload
def task(
    function: Callable[P, R],
    *,
    takes_context: Literal[False] = ...,
    priority: int = ...,
    queue_name: str = ...,
    backend: str = ...,
    **options: Any,
) -> TaskqTask[P, R]: ...
@overload
def task(
    *,
    takes_context: Literal[True],
    priority: int = ...,
    queue_name: str = ...,
    backend: str = ...,
    **options: Any,
) -> Callable[[Callable[Concatenate[TaskContext[..., Any], P], R]], TaskqTask[P, R]]: ...
@overload
def task(
    *,
    takes_context: Literal[False] = ...,
    priority: int = ...,
    queue_name: str = ...,
    backend: str = ...,
    **options: Any,
) -> Callable[[Callable[P, R]], TaskqTask[P, R]]: ...
def task(
    function: Callable[..., Any] | None = None,
    *,
    priority: int = DEFAULT_TASK_PRIORITY,
    queue_name: str = DEFAULT_TASK_QUEUE_NAME,
    backend: str = DEFAULT_TASK_BACKEND_ALIAS,
    takes_context: bool = False,
    **options: Any,
) -> Any:
    """Django's decorator, with the options of ``TaskqTask`` besides.

    From Django 6.1 on Django's own takes them too. This one leaves them out where another backend
    is set, as in tests.

    Args:
        function: The function, also an ``async def``.
        priority: -100 to 100, higher is sooner.
        queue_name: Where it waits.
        backend: The alias in ``TASKS``.
        takes_context: Pass the context of the run as the first argument.
        **options: The options of ``TaskqTask``.

    Raises:
        InvalidTask: The backend cannot run it.
        TypeError: An option is unknown or of a wrong type.
        ValueError: An option is out of range.
    """
    if unknown := options.keys() - OPTIONS:
        known = ", ".join(sorted(OPTIONS))
        raise TypeError(f"unknown task option {', '.join(sorted(unknown))}; known are {known}")
    task_options(options)
    kind = task_backends[backend].task_class
    if not issubclass(kind, TaskqTask):
        options = {}

    def decorate(function: Callable[..., Any]) -> AnyTask:
        return kind(
            func=function,
            priority=priority,
            queue_name=queue_name,
            backend=backend,
            takes_context=takes_context,
            run_after=None,
            **options,
        )

    return decorate if function is None else decorate(function)
