"""The runs of one task, put together from what its row, its result and the pools have noted."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace

from taskq.exceptions import TaskCancelled
from taskq.lookup import LOST, Attempt, Known
from taskq.models import Loss, RecentRun, State
from taskq.task.measures import End
from taskq.tracebacks import Part, parts

_CANCELLED = f"{TaskCancelled.__module__}.{TaskCancelled.__qualname__}"
#: A run starts at most so long after its task was claimed, for the two to be taken for one. Before
#: it at most a second: the clocks of hosts differ.
_AFTER, _BEFORE = datetime.timedelta(minutes=1), datetime.timedelta(seconds=1)


@dataclass(frozen=True)
class Run:
    """A run of the task.

    Attributes:
        started_at: When it was claimed, or started.
        worker: The name of the worker.
        pool: The host and process id of the worker's supervisor.
        end: How it ended. None: it runs, or nobody knows.
        running: It runs.
        attempt: How often the task had been claimed then. None: it was not noted.
        wait: Seconds from due to started.
        seconds: How long it took.
        error: Its error, or the class of that.
        traceback: The parts of its traceback.
    """

    started_at: datetime.datetime | None
    worker: str
    pool: str = ""
    end: End | None = None
    running: bool = False
    attempt: int | None = None
    wait: float | None = None
    seconds: float | None = None
    error: str = ""
    traceback: Sequence[Part] = ()


def runs(known: Known | None, noted: Sequence[RecentRun], losses: Sequence[Loss] = ()) -> list[Run]:
    """All runs of a task of which something is known, oldest first.

    known: what the task's row or its result says. A task that keeps no result has no list of the
        runs that came to nothing, but the error of the last one.
    noted: those of its runs that pools have noted.
    losses: what is known of the workers that it lost.
    """
    left = [_of_noted(each) for each in sorted(noted, key=lambda each: each.attempt)]
    found = _of_known(known, left) if known is not None else left
    for loss in losses:
        _tell_loss(found, loss)
    return sorted(found, key=_begin)


def _of_known(known: Known, left: list[Run]) -> list[Run]:
    """left: the runs that were noted."""
    found = [_merged(_of_attempt(attempt), left) for attempt in known.attempts]
    if known.state is State.FAILED and found:
        found[-1] = replace(found[-1], error=known.error or found[-1].error)
        if found[-1].end is End.RETRIED:
            found[-1] = replace(found[-1], end=End.FAILED)
    if known.state is State.RUNNING or known.state is None:
        found.append(_merged(_last(known), left))
    found = sorted([*found, *left], key=_begin)
    if not known.attempts and known.error:
        _tell_error(found, known)
    return found


def _of_noted(run: RecentRun) -> Run:
    end = End(run.end) if run.end in End.values else None
    return Run(
        run.started_at,
        run.worker,
        run.pool,
        end,
        attempt=run.attempt,
        wait=run.wait,
        seconds=run.seconds,
    )


def _of_attempt(attempt: Attempt) -> Run:
    worker, pool = _who(attempt.worker)
    ends = {LOST: End.LOST, _CANCELLED: End.CANCELLED}
    end = ends.get(attempt.kind, End.RETRIED)
    # Of a lost worker the traceback column has the cause.
    error = attempt.traceback if end is End.LOST else attempt.kind
    shown = () if end is End.LOST else _shown(attempt.traceback)
    return Run(attempt.started_at, worker, pool, end, error=error, traceback=shown)


def _last(known: Known) -> Run:
    """The run in progress, or the one that did it."""
    worker, pool = _who(known.worker or "")
    running = known.state is State.RUNNING
    seconds = None
    if known.finished_at is not None and known.started_at is not None:
        seconds = (known.finished_at - known.started_at).total_seconds()
    return Run(
        known.started_at,
        worker,
        pool,
        None if running else End.DONE,
        running=running,
        seconds=seconds,
    )


def _merged(run: Run, left: list[Run]) -> Run:
    """The run with what was noted of it, which is taken out of ``left``."""
    for place, noted in enumerate(left):
        if _is_same(run, noted):
            del left[place]
            return replace(
                run,
                attempt=noted.attempt,
                wait=noted.wait,
                seconds=noted.seconds,
                end=noted.end if run.end is not None else None,
            )
    return run


def _is_same(run: Run, noted: Run) -> bool:
    if run.worker != noted.worker or run.pool != noted.pool:
        return False
    if run.started_at is None or noted.started_at is None:
        return False
    return -_BEFORE <= noted.started_at - run.started_at <= _AFTER


def _tell_error(found: list[Run], known: Known) -> None:
    """Add the last error to the run that it belongs to, or a run of which nothing else is known."""
    ended = [place for place, run in enumerate(found) if run.end not in (None, End.DONE)]
    told = {"error": known.error, "traceback": _shown(known.traceback)}
    if ended:
        found[ended[-1]] = replace(found[ended[-1]], **told)  # type: ignore[arg-type]
        return
    over = known.state is State.FAILED
    end = End.CANCELLED if known.cancelled else (End.FAILED if over else End.RETRIED)
    place = len(found) - (bool(found) and found[-1].running)
    found.insert(place, Run(None, "", end=end, **told))  # type: ignore[arg-type]


def _tell_loss(found: list[Run], loss: Loss) -> None:
    """Add what is known of a loss to its run, or as a run of which nothing else is known."""
    told = {"error": loss.sentence, "traceback": _shown(loss.stack)}
    for place, run in enumerate(found):
        same = (run.worker, run.pool) == (loss.worker, loss.pool)
        if run.end is End.LOST and (same if run.attempt is None else run.attempt == loss.attempt):
            found[place] = replace(run, attempt=loss.attempt, **told)  # type: ignore[arg-type]
            return
    run = Run(loss.at, loss.worker, loss.pool, End.LOST, attempt=loss.attempt)
    found.append(replace(run, **told))  # type: ignore[arg-type]


def _begin(run: Run) -> tuple[bool, datetime.datetime]:
    never = datetime.datetime.max.replace(tzinfo=datetime.UTC)
    return run.running, run.started_at or never


def _who(worker: str) -> tuple[str, str]:
    """Name and pool of a worker, from ``pool/name/id``."""
    pool, _, rest = worker.partition("/")
    name, _, _id = rest.partition("/")
    return (name, pool) if name else (worker, "")


def _shown(traceback: str) -> Sequence[Part]:
    return tuple(parts(traceback)) if traceback.strip() else ()
