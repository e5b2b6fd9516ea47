"""``retry()``: the method of a task by which its run asks for another one."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload

from taskq.celery import call_changes
from taskq.celery import options as celery_options
from taskq.exceptions import MaxRetriesExceededError, Retry
from taskq.task import registry, retries
from taskq.task.options import TaskOptions
from taskq.task.request import Request
from taskq.values import check_max_retries


class Retries:
    """A part of :class:`taskq.celery.Task`."""

    #: The exception of :meth:`retry`, in the place where Celery's users look for it.
    MaxRetriesExceededError = MaxRetriesExceededError
    options: TaskOptions
    _definition: registry.Definition

    if TYPE_CHECKING:  # the whole class has it

        @property
        def request(self) -> Request: ...

    @overload
    def retry(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        exc: BaseException | type[BaseException] | str | None = None,
        throw: Literal[True] = True,
        eta: datetime.datetime | None = None,
        countdown: float | datetime.timedelta | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> NoReturn: ...
    @overload
    def retry(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        exc: BaseException | type[BaseException] | str | None = None,
        *,
        throw: bool,
        eta: datetime.datetime | None = None,
        countdown: float | datetime.timedelta | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Retry: ...
    def retry(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        exc: BaseException | type[BaseException] | str | None = None,
        throw: bool = True,
        eta: datetime.datetime | None = None,
        countdown: float | datetime.timedelta | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Retry:
        """End this run, and run the task again later.

        The task runs again also if its code catches the Retry and goes on. Then what the run
        returns is dropped, and with ``atomic=True`` what it has written.

        Args:
            args: Other positional arguments for the next run.
            kwargs: Other keyword arguments for it.
            exc: What went wrong: an exception, its class, or a text.
            throw: False returns the Retry, for a run that has more to do before it ends.
            eta: When to run again. By default after ``default_retry_delay``.
            countdown: Seconds until then; it wins over ``eta``.
            max_retries: In place of the limit of the task, which None leaves in force.
            **options: For the next run: queue, priority, expires, headers, which are added to the
                ones that there are, time_limit and soft_time_limit.

        What changes is written with the end of this run, by the same statement.

        Raises:
            Retry: Unless ``throw`` is False. When no retry is left, ``exc`` is raised.
            MaxRetriesExceededError: No retry is left, and there is no ``exc``.
            TypeError: The arguments do not fit the function, or an option is unknown or refused.
            ValueError: An option is out of range, or the arguments cannot be stored.
        """
        call = {name: options.pop(name, None) for name in call_changes.OPTIONS}
        celery_options.check_retry(options)
        check_max_retries("max_retries", max_retries, "the task's own")
        request = self.request
        changes = None
        other_call = args is not None or kwargs is not None or any(call.values())
        if other_call and not request.called_directly:
            changes = call_changes.changes(self._definition, request, args, kwargs, call)
        request.retry_limit = max_retries
        return retries.retry(
            self.options,
            request,
            changes=changes,
            exc=exc,
            eta=eta,
            countdown=countdown,
            max_retries=self.options.max_retries if max_retries is None else max_retries,
            throw=throw,
        )
