"""Interrupting the run in progress: at its soft time limit, or because its task was cancelled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pool import Slot, clock
from taskq.exceptions import SoftTimeLimitExceeded, TaskCancelled
from taskq.task import calling


class Interrupter:
    """Raises in a worker's run when a soft deadline on the scoreboard has passed.

    armed: a run is in progress and may be interrupted now.
    raised: what was raised in this run, or in the last one, as text.
    """

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.armed = False
        self.raised = ""
        self._warned = 0  # since when the run lasts that was told of its soft limit

    def interrupt(self) -> None:
        """Called when a soft deadline has passed. Raises in the task, once for each deadline."""
        slot = self.slot
        if not self.armed:
            return
        if slot.ending:
            self.armed = False
            self._raise(TaskCancelled("the task was cancelled"))
        elif 0 < slot.soft_deadline <= clock.now() and self._warned != slot.since:
            self._warned = slot.since
            self._raise(SoftTimeLimitExceeded("the task ran past its soft time limit"))

    def limit(self, hard: float | None, soft: float | None) -> None:
        """Give the run that has just begun its own time limits, in seconds from its beginning. None
        leaves that of its task."""
        slot = self.slot
        if hard is not None:
            slot.hard_deadline = slot.since + clock.nanoseconds(hard)
        if soft is not None:
            slot.soft_deadline = slot.since + clock.nanoseconds(soft)

    def arm(self) -> None:
        """Allow interruptions from now on. A deadline that has passed before is raised now, as no
        second signal comes for it."""
        self.armed, self.raised = True, ""
        if self.slot.soft_deadline or self.slot.ending_task:
            self.interrupt()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Interrupt the run only after this, though it is in progress."""
        armed, self.armed = self.armed, False
        try:
            yield
        finally:
            self.armed = armed
        self.interrupt()

    def disarm(self) -> None:
        self.armed = False

    def _raise(self, error: BaseException) -> None:
        # The error itself would keep the locals of the run alive.
        self.raised = f"{type(error).__name__} ({error})"
        calling.interrupt(error)
