"""``run_all()``: run waiting tasks here and now, as a pool would."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

from django.db import router

from taskq.database_errors import DATABASE_ERRORS
from taskq.models import Task
from taskq.task.outcomes import Done, Ignored, Interrupted, Replaced, Retried
from taskq.task.queues import Queues
from taskq.testing.clock import advance, seconds_of
from taskq.testing.worker import Concluded, InProcessWorker

#: Seconds added to the time until a task is due. With them it is due in spite of rounding.
_TRIFLE = 0.002


class TooManyRuns(AssertionError):
    """More than ``max_runs`` runs took place, and still a task is due."""


@dataclass(frozen=True)
class Ran:
    """One run of a task.

    Attributes:
        id: The primary key of its row.
        name: The name of the task.
        outcome: How the run ended.
        error: The exception that failed the task or led to a retry.
    """

    id: int
    name: str
    outcome: Literal["succeeded", "retried", "failed", "expired", "ignored"]
    error: BaseException | None = None


@dataclass(frozen=True)
class Report:
    """The runs that ``run_all()`` made, in order. ``len()`` is their number."""

    runs: list[Ran] = field(default_factory=list)

    @property
    def succeeded(self) -> list[Ran]:
        return self._those("succeeded")

    @property
    def retried(self) -> list[Ran]:
        return self._those("retried")

    @property
    def failed(self) -> list[Ran]:
        return self._those("failed")

    @property
    def expired(self) -> list[Ran]:
        return self._those("expired")

    @property
    def ignored(self) -> list[Ran]:
        return self._those("ignored")

    def _those(self, outcome: str) -> list[Ran]:
        return [run for run in self.runs if run.outcome == outcome]

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[Ran]:
        return iter(self.runs)


def run_all(
    *,
    queues: str | None = None,
    forward: float | datetime.timedelta | None = 0,
    propagate: bool = True,
    max_runs: int = 1000,
    using: str | None = None,
) -> Report:
    """Run all tasks that are due, and the tasks that these send, until none is due.

    They run in this process and in its open transaction. The code of a pool's worker claims, runs
    and finishes each task: in the same order, with retries, results, expiry and signals. There are
    no time limits, and a task has no process of its own.

    Args:
        queues: As ``-Q`` of a pool: names separated by commas, ``mail*`` for a prefix. All by
            default.
        forward: Seconds, or a timedelta, that pass meanwhile. Each task, also a retry, runs when
            it falls due. None: as long as any task waits. 0, the default, leaves a retry for a
            later call.
        propagate: When a task fails for good, raise its exception at once. Its row says failed as
            always. The default is True: otherwise a test would pass although its task failed.
            With False the run is in ``report.failed``.
        max_runs: More runs than this raise ``TooManyRuns``. The limit is there because a task may
            send itself forever.
        using: The alias of the database. By default the router decides.

    Returns:
        The runs, in order.

    Raises:
        TooManyRuns: There were more than ``max_runs``.
        UnknownTask: No task of that name is registered.
        TypeError: An argument is of a wrong type.
        ValueError: An argument is out of range.
    """
    left = None if forward is None else seconds_of("forward", forward)
    chosen = Queues.parse(queues)
    report = Report()
    alias = using or router.db_for_write(Task)
    with _worker(alias, chosen) as worker:
        while True:
            while lanes := worker.claimer.look():
                if len(report) >= max_runs:
                    raise TooManyRuns(_endless(report))
                if (concluded := worker.step(lanes)) is None:
                    return report  # a real pool claimed the task first
                report.runs.append(_ran(concluded))
                _raise_if_failed(report.runs[-1], propagate)
            if worker.workflows.tend():
                continue
            wait = _next_due(worker, chosen)
            if wait is None or (left is not None and wait > left):
                break
            advance(wait, using=alias)
            left = None if left is None else left - wait
    if left:
        advance(left, using=alias)
    return report


_busy = False


@contextmanager
def _worker(alias: str, queues: Queues) -> Iterator[InProcessWorker]:
    global _busy
    if _busy:
        raise RuntimeError("run_all() was called by a task that run_all() runs")
    worker = InProcessWorker(alias, queues)
    worker.start_lease()
    _busy = True
    try:
        yield worker
    except BaseException:
        with suppress(*DATABASE_ERRORS):  # a broken transaction refuses all statements
            worker.end_lease()
        raise
    else:
        worker.end_lease()
    finally:
        _busy = False


def _next_due(worker: InProcessWorker, queues: Queues) -> float | None:
    waits = [lane.wait for lane in worker.store.lanes(queues)]
    return max(0.0, min(waits)) + _TRIFLE if waits else None


def _ran(concluded: Concluded) -> Ran:
    match concluded.outcome:
        case None:
            outcome: Literal["succeeded", "retried", "failed", "expired", "ignored"] = "expired"
        case Done() | Replaced():
            outcome = "succeeded"
        case Retried() | Interrupted():
            outcome = "retried"
        case Ignored():
            outcome = "ignored"
        case _:
            outcome = "failed"
    return Ran(concluded.task.id, concluded.task.name, outcome, concluded.error)


def _raise_if_failed(ran: Ran, propagate: bool) -> None:
    if ran.outcome == "failed" and ran.error is not None and propagate:
        ran.error.add_note(f"in the task {ran.name} #{ran.id}, run by run_all()")
        raise ran.error


def _endless(report: Report) -> str:
    (name, count), *_ = Counter(ran.name for ran in report).most_common()
    last = report.runs[-1]
    return (
        f"after {len(report)} runs a task is still due; {count} of them were of {name}. "
        "Does a task send itself, or retry forever (max_retries=None)? The outcome of the last "
        f"run, of {last.name} #{last.id}: {last.outcome}. If that is right, give a larger max_runs"
    )
