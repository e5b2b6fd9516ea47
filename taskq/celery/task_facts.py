"""What a result tells of its task, beside its outcome."""

from __future__ import annotations

import dataclasses
import datetime
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from taskq.celery import states
from taskq.celery.result_tree import ResultBase
from taskq.lookup import Known
from taskq.task import payload
from taskq.task.progress import Progress
from taskq.task.states import State

T = TypeVar("T")


class TaskFacts(ResultBase):
    """The attributes of a result that are read from its task."""

    __slots__ = ()

    @abstractmethod
    def _known(self) -> Known | None:
        """What is known of the task."""

    def _of(self, read: Callable[[Known], T]) -> T | None:
        known = self._known()
        return read(known) if known is not None else None

    @property
    def name(self) -> str | None:
        """The task's name. This and all below are None when neither task nor result exists, nor a
        finished run that is kept."""
        return self._of(lambda known: known.name)

    @property
    def args(self) -> list[Any] | None:
        """The positional arguments. Raises PayloadError when they cannot be read."""
        return self._of(lambda known: payload.decode(known.payload, known.name)[0])

    @property
    def kwargs(self) -> dict[str, Any] | None:
        """The keyword arguments. Raises PayloadError when they cannot be read."""
        return self._of(lambda known: payload.decode(known.payload, known.name)[1])

    @property
    def queue(self) -> str | None:
        return self._of(lambda known: known.queue)

    @property
    def worker(self) -> str | None:
        """The worker that runs the task, or that ran it to its end."""
        return self._of(lambda known: known.worker)

    @property
    def retries(self) -> int | None:
        """How often it was retried."""
        return self._of(lambda known: known.retries)

    @property
    def date_done(self) -> datetime.datetime | None:
        """When the task was done, failed or was cancelled. None before that."""
        return self._of(lambda known: known.finished_at)

    @property
    def progress(self) -> Progress | None:
        """The last ``set_progress()`` of the run, while the task exists; up to 1 s old."""
        return self._of(lambda known: known.progress)

    @property
    def info(self) -> Any:
        """As in Celery: the result, or before there is one the ``meta`` of ``update_state()``, or
        ``{"done": …, "total": …}``."""
        known = self._known()
        if known is None or known.state not in states.UNENDED:
            return states.outcome(known)
        if known.own_state is not None and known.state is State.RUNNING:
            return known.own_state.meta
        return known.progress and dataclasses.asdict(known.progress)

    @property
    def traceback(self) -> str | None:
        """The traceback of the last run that raised."""
        return self._of(lambda known: known.traceback or None)
