"""Which finished tasks are kept, and for how long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from taskq.task.options import TaskOptions


class Lifetimes:
    """The lifetimes of finished tasks: of each task's own option, or else of its queue.

    by_queue: seconds, by the name of the queue.
    """

    def __init__(self, by_queue: Mapping[str, float]) -> None:
        self.by_queue = dict(by_queue)

    def of(self, options: TaskOptions, queue: str) -> float | None:
        """Seconds for which a finished run of this queue is kept; 0 or None: it is not kept."""
        own = options.keep_finished
        return self.by_queue.get(queue) if own is None else own

    def every(self, options: Iterable[TaskOptions]) -> set[float]:
        """All lifetimes that runs of tasks with these options may have."""
        own = (each.keep_finished for each in options)
        return {seconds for seconds in (*self.by_queue.values(), *own) if seconds}
