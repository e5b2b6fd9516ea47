"""What a run in progress may ask its worker."""

from __future__ import annotations

import datetime

from pool import Child, clock
from taskq.models import Task
from taskq.pool_context import KEEPER
from taskq.querysets import TaskQuerySet
from taskq.task.own_state import OwnState
from taskq.task.progress import Progress
from taskq.worker.state_writer import StateWriter
from taskq.workflow.lineage import lineage


class RunHandle:
    """The worker of this process. See :class:`taskq.task.request.Request`."""

    def __init__(self, child: Child, alias: str, states: StateWriter) -> None:
        self._child = child
        self._alias = alias
        self._states = states

    def runs(self, pk: int | None) -> bool:
        """Whether it is this task that runs: a thread of an earlier one may be left."""
        return pk is not None and self._child.slot.task_id == pk

    @property
    def is_running(self) -> bool:
        """Whether a task runs."""
        return self._child.slot.task_id != 0

    @property
    def worker(self) -> str:
        return self._child.name

    @property
    def attempt(self) -> int:
        return self._child.slot.attempt

    def eta(self) -> datetime.datetime | None:
        return self._row().values_list("execute_at", flat=True).first()

    def priority(self) -> int | None:
        return self._row().values_list("priority", flat=True).first()

    def _row(self) -> TaskQuerySet:
        return Task.objects.using(self._alias).filter(pk=self._child.slot.task_id)

    def lineage(self, workflow: int) -> tuple[str, str | None] | None:
        return lineage(workflow, self._child.slot.task_id, self._alias)

    def is_stopping(self) -> bool:
        return self._child.stopping or self._child.slot.ending

    def time_limits(self) -> tuple[float | None, float | None]:
        slot = self._child.slot
        hard, soft = (
            (each - slot.since) / clock.SECOND if each else None
            for each in (slot.hard_deadline, slot.soft_deadline)
        )
        return hard, soft

    def say_state(self, said: OwnState) -> None:
        self._states.say(said)

    def set_progress(self, progress: Progress) -> None:
        slot = self._child.slot
        first = slot.progress() is None
        slot.set_progress(progress.done, progress.total)
        if first:
            self._child.scoreboard.slots[KEEPER].wake()
