"""``SharedTask``: what ``shared_task`` makes of a function, with the methods of Celery's tasks."""

from __future__ import annotations

import datetime
import functools
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, Literal, NoReturn, ParamSpec, TypeVar, Unpack, overload

from taskq import limits
from taskq.celery import eager
from taskq.celery import options as celery_options
from taskq.celery.async_result import AsyncResult
from taskq.celery.canvas.methods import CanvasMethods
from taskq.celery.eager import EagerResult
from taskq.exceptions import MaxRetriesExceededError, Retry
from taskq.outbox import enqueue
from taskq.outbox.calls import Call, are_keywords, pairs_of
from taskq.outbox.terms import Terms
from taskq.task import pickling, registry, retries
from taskq.task.options import ShownOptions, TaskOptions
from taskq.task.request import Request, current
from taskq.values import check_max_retries

P = ParamSpec("P")
R = TypeVar("R")


class SharedTask(CanvasMethods, ShownOptions, Generic[P, R]):
    """A function that can be sent to the queue. A plain call of it just calls the function.

    ``shared_task`` makes it. It is pickled and copied as the task that is registered by its name.
    """

    #: The exception of :meth:`retry`, in the place where Celery's users look for it.
    MaxRetriesExceededError = MaxRetriesExceededError

    def __init__(self, function: Callable[P, R], name: str, options: TaskOptions) -> None:
        functools.update_wrapper(self, function)
        self.name = name
        self.options = options
        self.run = function
        self._definition = registry.Definition(name, function, options, bound=self)
        registry.register(self._definition)

    def __reduce__(self) -> tuple[Callable[[str, str], object], tuple[str, str]]:
        return pickling.registered, (self.name, self.run.__module__)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.options.bind:
            return self.run(self, *args, **kwargs)  # type: ignore[arg-type]
        return self.run(*args, **kwargs)

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult | EagerResult:
        """Send the task with these arguments of the function; raises as ``apply_async()``."""
        return self._send(args, kwargs)

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
        headers: Mapping[str, Any] | None = None,
        using: str | None = None,
        unique_key: str | None = None,
        idempotency_key: str | None = None,
        **ignored: Any,
    ) -> AsyncResult | EagerResult:
        """Send the task with options, in the transaction that is open.

        Args:
            args: Positional arguments of the function.
            kwargs: Keyword arguments of the function.
            countdown: Seconds until it is due, by the clock of the database; it wins over ``eta``.
            eta: When it is due. A naive time is in Django's current time zone.
            expires: Seconds, or a time. If it has not started by then, it is dropped.
            queue: In place of the queue of the task.
            priority: In place of the priority of the task.
            headers: A dict that goes along, to ``request.headers``. It counts into MAX_PAYLOAD.
            using: The alias of the database. By default the router decides.
            unique_key: In place of the key that ``unique`` makes of the arguments.
            idempotency_key: A second call with this key gets the task of the first.
            link: A signature, or a list of them, sent once the task has succeeded.
            link_error: A signature, or a list of them, sent if the task fails for good.

        Raises:
            TypeError: The arguments do not fit the function, or an option is unknown or refused.
            ValueError: An option is out of range, or the arguments cannot be stored.
        """
        if ignored.get("link") or ignored.get("link_error"):
            options = {
                "countdown": countdown, "eta": eta, "expires": expires, "queue": queue,
                "priority": priority, "headers": headers, "using": using,
                "unique_key": unique_key, "idempotency_key": idempotency_key, **ignored,
            }  # fmt: skip
            return self.signature(args, kwargs, options).apply_async()
        if ignored:
            celery_options.check_call(ignored)
            if ignored.get("ignore_result") is False and self.options.ignore_result:
                raise TypeError(
                    f"ignore_result is False, but {self.name} keeps no results: "
                    "say @shared_task(ignore_result=False)"
                )
        if isinstance(args, (str, bytes)) or not isinstance(args or (), Sequence):
            raise TypeError(f"args is {args!r}: give a list or tuple of the positional arguments")
        if not are_keywords(kwargs or {}):
            raise TypeError(f"kwargs is {kwargs!r}: give a dict of the keyword arguments")
        return self._send(
            args or (),
            kwargs or {},
            using,
            unique_key,
            idempotency_key,
            countdown=countdown,
            eta=eta,
            expires=expires,
            queue=queue,
            priority=priority,
            headers=headers,
        )

    def delay_many(
        self, calls: Iterable[Call], *, using: str | None = None, **terms: Unpack[Terms]
    ) -> list[AsyncResult | EagerResult]:
        """Send the task once for each call, by one statement: all or none. The handles are in the
        order of the calls.

        Args:
            calls: For each a tuple or list of positional arguments, or a dict of keyword ones.
            using: The alias of the database. By default the router decides.
            **terms: queue, priority, countdown, eta, expires and headers, for all calls.

        Raises:
            TypeError, ValueError: As ``apply_async()``, with the index of the call that is wrong.
        """
        check = self._definition.check_call if self.options.typing else None
        pairs = pairs_of(calls, check)
        if eager.is_on():
            rows = enqueue.rows(self.name, pairs, self.options, **terms)
            return [eager.run(self._definition, row, using=using) for row in rows]
        ids, _ = enqueue.enqueue_many(self.name, pairs, self.options, using=using, **terms)
        return [AsyncResult.of(id, using) for id in ids]

    def _send(
        self,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        using: str | None = None,
        unique_key: str | None = None,
        idempotency_key: str | None = None,
        **terms: Unpack[Terms],
    ) -> AsyncResult | EagerResult:
        if self.options.typing:
            self._definition.check_call(args, kwargs)
        if eager.is_on():
            row = enqueue.row(self.name, args, kwargs, self.options, **terms)
            enqueue.check_keys(self.name, args, kwargs, self.options, unique_key, idempotency_key)
            return eager.run(self._definition, row, using=using)
        sent = enqueue.enqueue(
            self.name,
            args,
            kwargs,
            self.options,
            using=using,
            unique_key=unique_key,
            idempotency_key=idempotency_key,
            **terms,
        )
        return AsyncResult.of(sent.id, using)

    def delay_on_commit(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult | EagerResult:
        """The same as :meth:`delay`, because a task is always part of the transaction."""
        return self.delay(*args, **kwargs)

    def apply_async_on_commit(self, *args: Any, **options: Any) -> AsyncResult | EagerResult:
        """The same as :meth:`apply_async`, because a task is always part of the transaction."""
        return self.apply_async(*args, **options)

    def apply(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        throw: bool = False,
    ) -> EagerResult:
        """Run the task here and now, with its retries, as in eager mode.

        ``throw``: raise what the task raises.
        """
        row = enqueue.row(self.name, args or (), kwargs or {}, self.options)
        result = eager.run(self._definition, row, using=None)
        if throw:
            result.get()
        return result

    def AsyncResult(self, task_id: str | uuid.UUID | int) -> AsyncResult:
        """A handle on the task with this id, as in Celery."""
        return AsyncResult(task_id)

    @property
    def request(self) -> Request:
        """The run of this task that is in progress. Outside of one it is empty, as in Celery."""
        request = current.get()
        # Another task may be running that just calls this one. That is no run of this task.
        if request is not None and request.name == self.name:
            return request
        queue = self.options.queue or limits.DEFAULT_QUEUE
        return Request(pk=None, name=self.name, queue=queue, called_directly=True)

    def is_stopping(self) -> bool:
        """Whether this run should end soon: see ``Request.is_stopping``."""
        return self.request.is_stopping()

    def set_progress(self, done: int, total: int | None = None) -> None:
        """Say how far this run is: see ``Request.set_progress``."""
        self.request.set_progress(done, total)

    @overload
    def retry(
        self,
        *,
        throw: Literal[True] = True,
        exc: BaseException | type[BaseException] | str | None = None,
        eta: datetime.datetime | None = None,
        countdown: float | datetime.timedelta | None = None,
        max_retries: int | None = None,
        **ignored: Any,
    ) -> NoReturn: ...
    @overload
    def retry(
        self,
        *,
        throw: bool,
        exc: BaseException | type[BaseException] | str | None = None,
        eta: datetime.datetime | None = None,
        countdown: float | datetime.timedelta | None = None,
        max_retries: int | None = None,
        **ignored: Any,
    ) -> Retry: ...
    def retry(
        self,
        *,
        throw: bool = True,
        exc: BaseException | type[BaseException] | str | None = None,
        eta: datetime.datetime | None = None,
        countdown: float | datetime.timedelta | None = None,
        max_retries: int | None = None,
        **ignored: Any,
    ) -> Retry:
        """End this run, and run the task again later.

        The task runs again also if its code catches the Retry and goes on. Then what the run
        returns is dropped, and with ``atomic=True`` what it has written.

        Args:
            throw: False returns the Retry, for a run that has more to do before it ends.
            exc: What went wrong: an exception, its class, or a text.
            eta: When to run again. By default after ``default_retry_delay``.
            countdown: Seconds until then; it wins over ``eta``.
            max_retries: In place of the limit of the task, which None leaves in force.

        Raises:
            Retry: Unless ``throw`` is False. When no retry is left, ``exc`` is raised.
            MaxRetriesExceededError: No retry is left, and there is no ``exc``.
            TypeError: An option would make it another call.
        """
        celery_options.check_retry(ignored, self.request)
        check_max_retries("max_retries", max_retries, "the task's own")
        self.request.retry_limit = max_retries
        return retries.retry(
            self.options,
            self.request,
            exc=exc,
            eta=eta,
            countdown=countdown,
            max_retries=self.options.max_retries if max_retries is None else max_retries,
            throw=throw,
        )

    def __repr__(self) -> str:
        return f"<task {self.name}>"
