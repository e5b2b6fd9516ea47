"""When a new process should take the place of a worker."""

from __future__ import annotations

from pool import Child
from pool.kernel import resident_kib
from taskq import events
from taskq.conf import Settings
from taskq.worker.batch import Batch


class Wear:
    """Counts the runs of one worker, and looks at its memory."""

    def __init__(self, child: Child, settings: Settings) -> None:
        self._child = child
        self._most = settings.max_tasks_per_child or None
        self._most_kib = settings.max_memory_per_child or None
        self.runs = 0
        #: The process ends after the run that is about to begin.
        self.is_last_run = self._most == 1
        self.worn_out = False

    def check_memory(self) -> None:
        """Log once for a pool that its memory limit leaves no room for a task."""
        limit, first = self._most_kib, self._child.slot.generation == 1
        if limit and first and self._child.number == 1 and (kib := resident_kib()) > limit:
            events.memory_limit_too_low(kib, limit)

    def count_run(self, batch: Batch, *, out_of_memory: bool) -> None:
        """Count a run. Note whether a new process should take the place of this one.

        batch: what the worker holds. While tasks wait there, they may run before it looks at its
            memory again. out_of_memory: a run has failed with MemoryError.
        """
        self.runs += 1
        if self._most is not None:
            self.is_last_run = self.runs + 1 >= self._most
            self.worn_out |= self.runs >= self._most
        if out_of_memory:
            self.worn_out = True
        if self._most_kib and not self.worn_out and not batch.waiting:
            kib = resident_kib()
            self.worn_out = kib > self._most_kib
            if self.worn_out:
                events.worker_grown(self._child.name, kib, self._most_kib, self.runs)
