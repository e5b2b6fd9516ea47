"""The front door for Celery users: ``shared_task`` and what hangs on it.

``from taskq.celery import shared_task`` in place of Celery's is meant to be the
whole change. What differs, and why, is in docs/migrating.md.
"""

from __future__ import annotations

import datetime
import functools
import inspect
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, Generic, Literal, NoReturn, ParamSpec, TypeVar, overload

from django.conf import settings as django_settings
from django.db import connections, router

from taskq import conf, eager, outbox, registry, retries, sql
from taskq.context import Request, current
from taskq.eager import EagerResult
from taskq.exceptions import MaxRetriesExceededError, Retry, SoftTimeLimitExceeded
from taskq.models import Task
from taskq.options import TaskOptions, check_max_retries, task_options

__all__ = [
    "AsyncResult",
    "EagerResult",
    "MaxRetriesExceededError",
    "Retry",
    "SharedTask",
    "Signature",
    "SoftTimeLimitExceeded",
    "shared_task",
]

P = ParamSpec("P")
R = TypeVar("R")

#: Options of Celery's decorator and of its apply_async that change nothing here:
#: there is no broker, no result backend, and a task is acknowledged when it is done.
_MEANINGLESS_IN_DECORATOR = frozenset(
    "ignore_result serializer acks_late acks_on_failure_or_timeout reject_on_worker_lost "
    "track_started compression store_errors_even_if_ignored throws typing trail "
    "send_events shared lazy".split()
)
_MEANINGLESS_IN_CALL = frozenset(
    "ignore_result add_to_parent serializer compression connection producer publisher "
    "exchange routing_key retry retry_policy shadow delivery_mode mandatory immediate".split()
)


class AsyncResult:
    """A handle on a task that was sent.

    id: a UUID whose ``.int`` is the row's primary key. Given as UUID or as text.
    """

    def __init__(self, id: uuid.UUID | str, *, using: str | None = None) -> None:
        try:
            self.id = id if isinstance(id, uuid.UUID) else uuid.UUID(hex=id)
        except (ValueError, AttributeError, TypeError) as error:
            raise ValueError(
                f"{id!r} is no task id; give the UUID that delay() returned"
            ) from error
        self._using = using

    @property
    def task_id(self) -> uuid.UUID:
        return self.id

    def revoke(self) -> bool:
        """Remove the task if it has not started; leave it alone if it runs.

        Returns whether it was removed.
        """
        if self.id.int >= 2**63:  # no primary key is that large: the id is not ours
            return False
        connection = connections[self._using or router.db_for_write(Task)]
        with connection.cursor() as cursor:
            cursor.execute(sql.REVOKE, {"id": self.id.int})
            return bool(cursor.rowcount == 1)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncResult) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return str(self.id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"


class SharedTask(Generic[P, R]):
    """A function that can be sent to the queue. Calling it just calls it."""

    def __init__(self, function: Callable[P, R], name: str, options: TaskOptions) -> None:
        functools.update_wrapper(self, function)
        self.name = name
        self.options = options
        self.run = function
        self._definition = registry.Definition(name, function, options, bound=self)
        registry.register(self._definition)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.options.bind:
            return self.run(self, *args, **kwargs)  # type: ignore[arg-type]
        return self.run(*args, **kwargs)

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult | EagerResult:
        """Send the task, with the function's own arguments."""
        return self.apply_async(args, kwargs)

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        countdown: float | datetime.timedelta | None = None,
        eta: datetime.datetime | None = None,
        expires: float | datetime.timedelta | datetime.datetime | None = None,
        queue: str | None = None,
        priority: int | None = None,
        using: str | None = None,
        **ignored: Any,
    ) -> AsyncResult | EagerResult:
        """Send the task. See :func:`taskq.outbox.enqueue` for the options.

        Options of Celery's that mean nothing here are ignored; others raise TypeError.
        """
        _refuse(set(ignored) - _MEANINGLESS_IN_CALL, "apply_async option")
        if isinstance(args, (str, bytes)) or not isinstance(args or (), Sequence):
            raise TypeError(f"args is {args!r}: give a list or tuple of the positional arguments")
        if not isinstance(kwargs or {}, Mapping) or not all(
            isinstance(k, str) for k in kwargs or ()
        ):
            raise TypeError(f"kwargs is {kwargs!r}: give a dict of the keyword arguments")
        call = (self.name, args or (), kwargs or {}, self.options)
        place: dict[str, Any] = {
            "queue": queue,
            "priority": priority,
            "countdown": countdown,
            "eta": eta,
            "expires": expires,
        }
        if getattr(django_settings, "CELERY_TASK_ALWAYS_EAGER", False):
            return eager.run(self._definition, outbox.row(*call, **place), using=using)
        return AsyncResult(uuid.UUID(int=outbox.enqueue(*call, **place, using=using)), using=using)

    def delay_on_commit(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult | EagerResult:
        """The same as :meth:`delay`: a task is always part of the transaction."""
        return self.delay(*args, **kwargs)

    def apply_async_on_commit(self, *args: Any, **options: Any) -> AsyncResult | EagerResult:
        """The same as :meth:`apply_async`: a task is always part of the transaction."""
        return self.apply_async(*args, **options)

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        """This task with some of its arguments, to be sent later."""
        return Signature(self, args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        """As :meth:`s`; arguments given later are ignored."""
        return Signature(self, args, kwargs, immutable=True)

    @property
    def request(self) -> Request:
        """This task's run in progress; outside of one, an empty one, as in Celery."""
        request = current.get()
        # A run of another task that just calls this one is no run of this one.
        if request is not None and request.name == self.name:
            return request
        queue = self.options.queue or conf.DEFAULT_QUEUE
        return Request(pk=None, name=self.name, queue=queue, called_directly=True)

    def retry(
        self,
        *,
        exc: BaseException | None = None,
        eta: datetime.datetime | None = None,
        countdown: float | datetime.timedelta | None = None,
        max_retries: int | None = None,
    ) -> NoReturn:
        """Give up this run and have the task run again later.

        Always raises: Retry, or, when no retry is left or the function was called
        directly, ``exc``; MaxRetriesExceededError where there is no ``exc``.

        exc: what went wrong. eta, countdown: when (given both, the countdown counts); by
        default after ``default_retry_delay``. max_retries: instead of the task's own,
        which None leaves in force.
        """
        delay = outbox.seconds("countdown", countdown)
        if eta is not None:
            eta = outbox.moment("eta", eta)
        check_max_retries("max_retries", max_retries, "the task's own")
        retries.retry(
            self.options,
            self.request,
            exc=exc,
            eta=None if delay else eta,
            countdown=delay,
            max_retries=self.options.max_retries if max_retries is None else max_retries,
        )

    def __repr__(self) -> str:
        return f"<task {self.name}>"


class Signature:
    """A task, arguments and options, sent with ``delay()`` or ``apply_async()``."""

    def __init__(
        self,
        task: SharedTask[Any, Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        *,
        immutable: bool = False,
    ) -> None:
        self.task = task
        self.args = tuple(args)
        self.kwargs = dict(kwargs)
        self.options: dict[str, Any] = {}
        self.immutable = immutable

    def set(self, immutable: bool | None = None, **options: Any) -> Signature:
        """Set options of apply_async, and return this signature."""
        if immutable is not None:
            self.immutable = immutable
        self.options.update(options)
        return self

    def delay(self, *args: Any, **kwargs: Any) -> AsyncResult | EagerResult:
        return self.apply_async(args, kwargs)

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> AsyncResult | EagerResult:
        """Send it. As in Celery, arguments given here come before the signature's own,
        and options given here as None leave the signature's own in force."""
        merged = self._merge(args or (), kwargs or {})
        given = {name: value for name, value in options.items() if value is not None}
        return self.task.apply_async(*merged, **{**self.options, **given})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        all_args, all_kwargs = self._merge(args, kwargs)
        return self.task(*all_args, **all_kwargs)

    def _merge(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self.immutable:
            return self.args, self.kwargs
        return (*args, *self.args), {**self.kwargs, **kwargs}

    def __repr__(self) -> str:
        return f"<signature of {self.task.name}>"


@overload
def shared_task(function: Callable[P, R], /) -> SharedTask[P, R]: ...
@overload
def shared_task(
    *, bind: Literal[True], name: str | None = None, **options: Any
) -> Callable[[Callable[Concatenate[Any, P], R]], SharedTask[P, R]]: ...
@overload
def shared_task(
    *, name: str | None = None, **options: Any
) -> Callable[[Callable[P, R]], SharedTask[P, R]]: ...
def shared_task(
    function: Callable[..., Any] | None = None, /, *, name: str | None = None, **options: Any
) -> Any:
    """Make a function a task; with or without arguments.

    name: how rows call it; by default the module and the function's name.
    Other options: see :class:`taskq.options.TaskOptions`. Options of Celery's that
    mean nothing here are ignored.

    Raises TypeError or ValueError at once for an option that is unknown or wrong.
    """
    kept = {key: value for key, value in options.items() if key not in _MEANINGLESS_IN_DECORATOR}
    checked = task_options(kept)

    def decorate(function: Callable[..., Any]) -> SharedTask[..., Any]:
        if not inspect.isfunction(function):
            raise TypeError(f"shared_task is for functions, not {function!r}")
        if name is None and function.__name__ == "<lambda>":
            raise ValueError(f"{function!r} has no name of its own: give one by name=")
        return SharedTask(function, name or f"{function.__module__}.{function.__name__}", checked)

    return decorate if function is None else decorate(function)


def _refuse(names: set[str], kind: str) -> None:
    if names:
        known = "args, kwargs, countdown, eta, expires, queue, priority, using"
        raise TypeError(f"unknown {kind} {', '.join(sorted(names))}; known are {known}")
