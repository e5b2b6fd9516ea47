"""``CELERY_TASK_ALWAYS_EAGER``: the task runs in the caller, at once, for tests."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.db import router, transaction
from django.utils import timezone

from taskq import error_text, events, lazy_models, shortcuts
from taskq.celery import telling
from taskq.celery.result_tree import ResultBase
from taskq.exceptions import Ignore, Reject, Retry
from taskq.task import masking, payload, retries
from taskq.task.calling import call
from taskq.task.ids import TaskId
from taskq.task.registry import Definition
from taskq.task.request import Request
from taskq.task.states import On

#: The most retries of one eager run. Celery recurses for each retry, so it ends somewhere too.
MAX_RETRIES = 1000


class EagerResult(ResultBase):
    """The outcome of a task that ran at once. :class:`taskq.celery.result.AsyncResult` explains
    the attributes.

    ``result`` is the return value, or the exception that the task raised.
    """

    progress = worker = None
    parent: ResultBase | None = None
    TimeoutError = builtins.TimeoutError

    def __init__(
        self,
        request: Request,
        args: list[Any],
        kwargs: dict[str, Any],
        result: Any = None,
        error: BaseException | None = None,
        state: str | None = None,
    ) -> None:
        assert request.id is not None  # an eager run has one
        self.id: TaskId = request.id
        self.name, self.queue, self.retries = request.name, request.queue, request.retries
        self.args, self.kwargs = args, kwargs
        self.date_done = timezone.now()
        self.result = result if error is None else error
        self._error = error
        self._state = state or ("SUCCESS" if error is None else "FAILURE")
        self._behind: list[ResultBase] = []
        self._drops = request.drops

    def follow_by(self, results: list[ResultBase]) -> None:
        """Note what has run after this task."""
        self._behind += results

    def drops(self, on: On) -> bool:
        """Whether the run has dropped what follows it in this way, such as its chain."""
        return bool(self._drops >> on & 1)

    @property
    def children(self) -> list[ResultBase] | None:
        """What has run after this task, by ``link``."""
        return self._behind or None

    @property
    def task_id(self) -> TaskId:
        return self.id

    @property
    def status(self) -> str:
        return self._state

    state = status

    @property
    def traceback(self) -> str | None:
        return None if self._error is None else error_text.traceback(self._error)

    def ready(self) -> bool:
        return True

    def successful(self) -> bool:
        return self._state == "SUCCESS"

    def failed(self) -> bool:
        return self._error is not None

    def get(self, timeout: float | None = None, propagate: bool = True, **ignored: Any) -> Any:
        """The return value. Raises the task's exception, unless ``propagate`` is False."""
        return self.maybe_throw(propagate)

    wait = get

    def maybe_throw(
        self, propagate: bool = True, callback: Callable[[TaskId, Any], object] | None = None
    ) -> Any:
        if self._error is not None and propagate:
            raise self._error
        if callback is not None:
            callback(self.id, self.result)
        return self.result

    maybe_reraise = maybe_throw

    def __repr__(self) -> str:
        return f"<EagerResult: {self.id}>"

    def forget(self) -> None:
        """Nothing to do: no result is stored."""

    forget_alone = forget

    def exists(self) -> bool:
        return True

    def revoke(self, *, terminate: bool = False, **ignored: Any) -> bool:
        """False: the task has run already."""
        return False

    cancel = revoke

    @property
    def info(self) -> Any:
        return self.result


#: What the app says beside Django's settings; None for nothing.
_always: bool | None = None
_propagates: bool | None = None


def decide(always: bool | None, propagates: bool | None) -> None:
    """Take what the app says in place of ``CELERY_TASK_ALWAYS_EAGER`` and
    ``CELERY_TASK_EAGER_PROPAGATES``. None leaves it to these."""
    global _always, _propagates
    _always, _propagates = always, propagates


def is_on() -> bool:
    """Whether ``CELERY_TASK_ALWAYS_EAGER`` is set."""
    if _always is not None:
        return _always
    settings = _loaded() if _loaded is not None else django_settings
    return getattr(settings, "CELERY_TASK_ALWAYS_EAGER", False)


def propagates() -> bool:
    """Whether ``CELERY_TASK_EAGER_PROPAGATES`` is set."""
    if _propagates is not None:
        return _propagates
    return getattr(django_settings, "CELERY_TASK_EAGER_PROPAGATES", False)


_loaded = shortcuts.loaded_settings()


def run(
    definition: Definition,
    row: Mapping[str, Any],
    *,
    using: str | None,
    throw: bool | None = None,
) -> EagerResult:
    """Run a task now. Its retries follow at once, one after the other.

    row: the columns that would be written. The run takes its arguments from there, so a test
        sees encoded and decoded arguments, as in production.
    using: the alias of the database for an ``atomic`` task's transaction; None is the router's.
    throw: raise what the task raises; None for what ``CELERY_TASK_EAGER_PROPAGATES`` says.

    Raises RuntimeError for an ``async def`` task in a thread that runs an event loop.
    """
    if definition.is_async:
        if _loop_runs():
            raise RuntimeError(
                f"{definition.name} is async and would run at once (CELERY_TASK_ALWAYS_EAGER), but "
                "an event loop runs here: send it by sync_to_async(task.delay)(...)"
            )
        # async_to_sync lets the ORM use this thread's connections, and so the test's.
        definition = replace(definition, function=async_to_sync(definition.function))
    id, done, task = TaskId(uuid.uuid4()), 0, definition.bound
    throw = propagates() if throw is None else throw
    while True:
        request = Request(
            pk=None,
            name=definition.name,
            queue=row["queue"],
            retries=done,
            is_eager=True,
            eager_id=id,
        )
        args, kwargs, request.sent_headers = payload.decode_call(row["payload"], definition.name)
        request.args, request.kwargs = args, kwargs
        request.hide = masking.hiding(definition.name, args, kwargs)
        telling.started(task, request)
        began = time.monotonic()
        try:
            with _transaction(definition, using):
                value = call(definition, request, args, kwargs)
        except Ignore as error:
            telling.ignored(task, request)
            state = "REJECTED" if isinstance(error, Reject) else "IGNORED"
            return EagerResult(request, args, kwargs, state=state)
        except Exception as error:
            if request.retry_was_swallowed:
                events.retry_swallowed(request)
            again = retries.after(error, definition.options, done, request.retry_limit)
            if again is not None and done < MAX_RETRIES:
                done += 1
                row = _changed(row, again)
                telling.retried(task, request, again.exc or error.__context__, "")
                continue
            ended = retries.given_up(error, request) if again is None else error
            telling.failed(task, request, ended, "")
            if throw:
                if ended is error:
                    raise
                raise ended from error
            return EagerResult(request, args, kwargs, error=ended)
        telling.succeeded(task, request, value, time.monotonic() - began)
        return EagerResult(request, args, kwargs, value)


def _changed(row: Mapping[str, Any], again: Retry) -> Mapping[str, Any]:
    """The row with what the retry changes of its call."""
    new = {name: each for name, each in (again.changes or {}).items() if each is not None}
    return {**row, **new}


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _transaction(
    definition: Definition, using: str | None
) -> contextlib.AbstractContextManager[None]:
    if definition.options.atomic:
        return transaction.atomic(using or router.db_for_write(lazy_models.Task))
    return contextlib.nullcontext()
