"""Sending tasks by an app: by their names, and periodically."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from taskq.celery import sending_by_name
from taskq.celery.async_result import AsyncResult
from taskq.celery.conf import Conf


class AppSending:
    """A part of :class:`taskq.celery.app.base.Celery`."""

    if TYPE_CHECKING:  # the whole class has it

        @property
        def conf(self) -> Conf: ...

    def send_task(
        self,
        name: str,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Send a task by its name, with the options of ``apply_async()``.

        Raises:
            UnknownTask: No task is registered by this name. Celery's NotRegistered.
            TypeError, ValueError: As ``apply_async()``.
        """
        return sending_by_name.send(name, args, kwargs, options)

    def signature(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """A signature of the task with this name: see ``Task.signature()``."""
        from taskq.celery.canvas import Signature

        return Signature(name, *args, **kwargs)

    def AsyncResult(self, task_id: Any, **ignored: Any) -> AsyncResult:
        """A handle on the task with this id."""
        return AsyncResult(task_id)

    def add_periodic_task(
        self,
        schedule: Any,
        sig: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        name: str | None = None,
        **options: Any,
    ) -> str:
        """Send a task by a schedule: an entry of ``conf.beat_schedule``. Returns its name.

        Args:
            schedule: Seconds, a timedelta, or a ``crontab()``.
            sig: A signature, or a task.
            args: Positional arguments, in place of the signature's.
            kwargs: Keyword arguments, in place of the signature's.
            name: The name of the entry. By default the signature as a text.
            **options: Options of ``apply_async()``.
        """
        task = getattr(sig, "task", sig)
        entry = {
            "schedule": schedule,
            "task": getattr(task, "name", task),
            "args": tuple(args or getattr(sig, "args", ())),
            "kwargs": dict(kwargs or getattr(sig, "kwargs", {})),
            "options": {**(getattr(sig, "options", None) or {}), **options},
        }
        key = name or repr(sig)
        self.conf.beat_schedule[key] = entry
        return key
