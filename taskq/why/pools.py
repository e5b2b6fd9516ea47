"""The pools that are alive, and what their workers do."""

from __future__ import annotations

from collections.abc import Sequence

from taskq.overview import WorkerLine, workers
from taskq.task.queues import Queues
from taskq.why.reason import Code, Reason, quoted, span

#: The most pools, or busy workers, that a sentence names.
_NAMED = 5


class Pools:
    """The workers at one moment, as far as they concern a queue.

    Attributes:
        serving: The living workers that serve the queue, the one with the longest run first.
    """

    def __init__(self, alias: str, queue: str) -> None:
        self._queue = queue
        self._all = workers(alias)
        self._alive = [worker for worker in self._all if worker.lease > 0]
        self.serving = [worker for worker in self._alive if serves(worker, queue)]

    @property
    def idle(self) -> int:
        """How many of the workers that serve the queue hold nothing."""
        return sum(not worker.holds for worker in self.serving)

    def absent(self) -> Reason | None:
        """The reason, if nobody serves the queue."""
        if self.serving:
            return None
        if not self._alive:
            text = "No worker is alive."
            if self._all:
                ended = min(-worker.lease for worker in self._all)
                text = f"No worker is alive: the last lease ended {span(ended)} ago."
            return Reason(Code.NO_WORKER, text, "Start manage.py taskq_pool.")
        by_pool = {worker.pool: worker.serves for worker in self._alive}
        named = [
            f"{quoted(pool)} serves {quoted(serves or '')}"
            for pool, serves in sorted(by_pool.items())
        ]
        return Reason(
            Code.QUEUE_NOT_SERVED,
            f"No pool serves the queue {quoted(self._queue)}: {_listed(named)}.",
            f"Start a pool with -Q {quoted(self._queue)}, or name the queue in one that runs.",
        )

    def busy(self) -> Reason | None:
        """The reason, if all workers that serve the queue hold tasks."""
        if self.idle or not self.serving:
            return None
        runs = [
            f"{quoted(worker.name or '')} #{worker.id} on {worker.worker} of "
            f"{quoted(worker.pool)}, for {span(worker.seconds)}"
            for worker in self.serving
        ]
        count = len(self.serving)
        subject = f"All {count} workers" if count > 1 else "The only worker"
        verb, holds = ("serve", "are busy") if count > 1 else ("serves", "is busy")
        return Reason(
            Code.WORKERS_BUSY,
            f"{subject} that {verb} its queue {holds}: {_listed(runs)}.",
            "If this is usual, start more workers (-c), or give long tasks a queue and a pool of "
            "their own.",
            tasks=tuple(worker.id for worker in self.serving[:_NAMED] if worker.id is not None),
        )


def serves(worker: WorkerLine, queue: str) -> bool:
    """Whether a worker serves the queue. One of which nobody knows it may."""
    try:
        return worker.serves is None or Queues.parse(worker.serves).admit(queue)
    except ValueError:  # somebody wrote the column by hand
        return True


def _listed(parts: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = len(parts) - _NAMED
    return "; ".join([*parts[:_NAMED], *([f"and {more} more"] if more > 0 else [])])
