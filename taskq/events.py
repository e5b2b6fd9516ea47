"""The events of tasks and workers: one function each, so that each is worded in one place.

Each event is one log line of the logger ``taskq``. Its record also carries ``record.event`` and
``record.fields``, a dict, for structured logs. Some events are signals too, see
:mod:`taskq.signals`.

request: the run in this process; None when another process ran the task.
"""

from __future__ import annotations

import datetime
import logging
import traceback as tracebacks
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taskq import printable, signals
from taskq.database_errors import DATABASE_ERRORS, Meaning, meaning, rejection
from taskq.task.request import Request

log = logging.getLogger("taskq")

#: Seconds. A success that took longer has a line of its own; taskq.worker.tally counts the others.
SLOW = 1.0
#: What to do about a name that a worker does not know.
UNKNOWN_MEND = (
    "restart pools that are older than the task, or move it to the tasks.py of an installed app or "
    "to a module of TASKQ['IMPORTS']"
)


@dataclass(frozen=True, slots=True)
class Ran:
    """Runs of one task name. task: the id, for a single run. median: seconds."""

    name: str
    count: int
    median: float
    task: int


def task_started(task: int, name: str) -> None:
    if log.isEnabledFor(logging.DEBUG):  # asked first, because every task comes by here
        _say(logging.DEBUG, "task.started", f"{name} #{task} started", task_id=task, task_name=name)


def task_succeeded(task: int, name: str, seconds: float, request: Request | None) -> None:
    if signals.task_succeeded.receivers:
        signals.tell_of_run(signals.task_succeeded, request, seconds=seconds)
    level = logging.DEBUG if seconds < SLOW else logging.INFO
    if log.isEnabledFor(level):
        text = f"ran {name} #{task} in {_span(seconds)}"
        run = _run(request)
        _say(level, "task.succeeded", text, task_id=task, task_name=name, seconds=seconds, **run)


def tasks_succeeded(worker: str, ran: Sequence[Ran], others: int) -> None:
    """The quick runs of one worker lately. others: runs of further names."""
    if not log.isEnabledFor(logging.INFO):
        return
    parts = [
        f"{each.name} {each.count:,} times, median {_span(each.median)}"
        if each.count > 1
        else f"{each.name} #{each.task} in {_span(each.median)}"
        for each in ran
    ]
    if others:
        parts.append(f"other tasks {others:,} times")
    runs = {each.name: {"count": each.count, "median": each.median} for each in ran}
    text = f"{worker} ran {'; '.join(parts)}"
    _say(logging.INFO, "tasks.succeeded", text, worker=worker, runs=runs, others=others)


def task_retried(
    task: int,
    name: str,
    retries: int,
    wait: str,
    error: str,
    request: Request | None,
    exception: BaseException | None,
) -> None:
    if signals.task_retried.receivers:
        signals.tell_of_run(signals.task_retried, request, error=error, exception=exception)
    text = f"{name} #{task} will be retried {wait} (retry {retries}): {error}"
    fields: dict[str, Any] = {
        "task_id": task,
        "task_name": name,
        "retries": retries,
        "error": error,
    }
    _say(logging.INFO, "task.retried", text, **fields, **_run(request))


def task_replaced(task: int, name: str, last: str) -> None:
    text = f"{name} #{task} is replaced by a workflow that ends with {last}"
    _say(logging.INFO, "task.replaced", text, task_id=task, task_name=name, last=last)


def steps_dropped(steps: Sequence[tuple[int, str]]) -> None:
    named = ", ".join(f"{name} #{id}" for id, name in steps[:5])
    more = f" and {len(steps) - 5} more" if len(steps) > 5 else ""
    text = f"{named}{more}: dropped, as a step that they waited for was cancelled or removed"
    _say(logging.WARNING, "workflow.steps_dropped", text, steps=len(steps))


def workflow_overdue(workflow: int) -> None:
    text = f"workflow #{workflow} has not ended by its deadline: it is cancelled"
    _say(logging.WARNING, "workflow.overdue", text, workflow=workflow)


def retry_swallowed(request: Request) -> None:
    run = request.id if request.pk is None else request.pk
    text = (
        f"{request.name} #{run} called retry(), caught the Retry that this raised, and went on. It "
        "is retried all the same: let Retry pass, or say retry(throw=False)"
    )
    _say(logging.WARNING, "task.retry_swallowed", text, task_id=request.pk, task_name=request.name)


def task_failed(
    task: int,
    name: str,
    error: str,
    traceback: str,
    request: Request | None,
    exception: BaseException | None,
) -> None:
    if signals.task_failed.receivers:
        signals.tell_of_run(
            signals.task_failed, request, error=error, traceback=traceback, exception=exception
        )
    text = f"{name} #{task} failed: {error}"
    fields: dict[str, Any] = {"task_id": task, "task_name": name, "error": error}
    _say(logging.ERROR, "task.failed", text, traceback, **fields, **_run(request))


def task_ignored(task: int, name: str, reason: str, request: Request | None) -> None:
    text = f"{name} #{task} is ignored, as it asked" + (f": {reason}" if reason else "")
    fields: dict[str, Any] = {"task_id": task, "task_name": name, "reason": reason}
    _say(logging.INFO, "task.ignored", text, **fields, **_run(request))


def commit_hook_failed(task: int, name: str, error: str, traceback: str) -> None:
    text = f"{name} #{task} is done, and a callback of its on_commit() failed: {error}"
    fields = {"task_id": task, "task_name": name, "error": error}
    _say(logging.ERROR, "task.commit_hook_failed", text, traceback, **fields)


def task_expired(task: int, name: str) -> None:
    text = f"{name} #{task} expired before it was started; dropped"
    _say(logging.WARNING, "task.expired", text, task_id=task, task_name=name)


def task_unknown(task: int, name: str, wait: float) -> None:
    text = (
        f"{name} #{task} is not known here; left for {wait:.0f} s to a worker that knows it: "
        f"{UNKNOWN_MEND}"
    )
    _say(logging.WARNING, "task.unknown", text, task_id=task, task_name=name)


def unknown_left(count: int, names: list[str]) -> None:
    """At the end of ``taskq_pool --burst``."""
    text = (
        f"{count} tasks are left whose names are not known here: {', '.join(names)}; {UNKNOWN_MEND}"
    )
    _say(logging.ERROR, "tasks.unknown_left", text, count=count, names=names)


def task_lost(
    task: int, name: str, worker: str, cause: str, losses: int, failed: bool, details: str = ""
) -> None:
    """details: what is known of the worker beside the cause, see :mod:`taskq.loss_text`."""
    if signals.task_lost.receivers:
        signals.tell_aside(signals.task_lost, task, name, cause=cause, losses=losses, failed=failed)
    # ERROR as for every task that failed: a person must look at it, and error trackers report it.
    level, then = (logging.ERROR, "failed") if failed else (logging.WARNING, "will be run again")
    text = f"{name} #{task} lost its worker, {worker}: {cause}{details}; loss {losses}, {then}"
    _say(
        level,
        "task.lost",
        text,
        task_id=task,
        task_name=name,
        worker=worker,
        cause=cause,
        failed=failed,
    )


def task_interrupted(task: int, name: str, error: str, losses: int, wait: float | None) -> None:
    """wait: seconds until it is run again; None when it failed."""
    failed = wait is None
    if signals.task_lost.receivers:
        signals.tell_aside(signals.task_lost, task, name, cause=error, losses=losses, failed=failed)
    level, then = (logging.ERROR, "failed") if failed else (logging.WARNING, f"again in {wait} s")
    text = f"{name} #{task} was {error}; loss {losses}, {then}"
    _say(level, "task.interrupted", text, task_id=task, task_name=name, cause=error, failed=failed)


def task_cancelled(task: int, name: str, cause: str, request: Request | None = None) -> None:
    if signals.task_cancelled.receivers:
        if request is None:
            signals.tell_aside(signals.task_cancelled, task, name, request=None, error=cause)
        else:
            signals.tell_of_run(signals.task_cancelled, request, error=cause)
    text = f"{name} #{task} was cancelled; its run ended: {cause}"
    fields: dict[str, Any] = {"task_id": task, "task_name": name, "cause": cause}
    _say(logging.WARNING, "task.cancelled", text, **fields, **_run(request))


def task_fenced(task: int, name: str) -> None:
    text = f"{name} #{task} is no longer held by this worker: its outcome was not recorded"
    _say(logging.WARNING, "task.fenced", text, task_id=task, task_name=name)


def outcome_unwritten(task: int, name: str, error: str) -> None:
    """The task is kept as failed, with this error in place of its real outcome."""
    if signals.task_failed.receivers:
        signals.tell_aside(
            signals.task_failed, task, name, request=None, error=error, traceback="", exception=None
        )
    text = f"{name} #{task} failed: {error}"
    _say(logging.ERROR, "task.failed", text, task_id=task, task_name=name, error=error)


def outcome_refused(task: int, name: str, error: str, again: BaseException) -> None:
    text = (
        f"{name} #{task}: {error}; that it failed cannot be written either: {first_line(again)}; "
        "the task will be reclaimed"
    )
    _say(logging.ERROR, "task.unwritten", text, task_id=task, task_name=name, error=error)


def run_taken(task: int, name: str) -> None:
    text = (
        f"{name} #{task} is no longer held by this worker, because the database was away: "
        "its run is stopped"
    )
    _say(logging.WARNING, "task.taken", text, task_id=task, task_name=name)


def interruption_swallowed(task: int, name: str, seconds: float, raised: str) -> None:
    """A soft time limit or a cancel had no effect, because the task caught its exception."""
    text = f"{name} #{task} has caught {raised} and returned all the same, after {_span(seconds)}"
    _say(logging.WARNING, "task.interruption_swallowed", text, task_id=task, task_name=name)


def worker_started(worker: str, pool: str) -> None:
    if signals.worker_started.receivers:
        signals.tell(signals.worker_started, None, worker=worker, pool=pool)
    _say(logging.DEBUG, "worker.started", f"{worker} started", worker=worker)


def pool_starting(pool: str) -> None:
    if signals.pool_starting.receivers:
        signals.tell(signals.pool_starting, None, pool=pool)


def keeper_started(pool: str) -> None:
    if signals.keeper_started.receivers:
        signals.tell(signals.keeper_started, None, pool=pool)
    _say(logging.DEBUG, "keeper.started", "keeper started")


def worker_stopped(worker: str, pool: str) -> None:
    if signals.worker_stopped.receivers:
        signals.tell(signals.worker_stopped, None, worker=worker, pool=pool)
    _say(logging.DEBUG, "worker.stopped", f"{worker} stopped", worker=worker)


def worker_grown(worker: str, kib: int, limit: int, runs: int) -> None:
    text = (
        f"{worker} is replaced after {runs} runs: it has {kib:,} KiB, more than "
        f"TASKQ['MAX_MEMORY_PER_CHILD'] ({limit:,})"
    )
    _say(logging.INFO, "worker.grown", text, worker=worker, kib=kib, limit=limit, runs=runs)


def memory_limit_too_low(kib: int, limit: int) -> None:
    text = (
        f"a worker has {kib:,} KiB before it runs anything, more than "
        f"TASKQ['MAX_MEMORY_PER_CHILD'] ({limit:,}): each is replaced after one task. "
        "Raise it"
    )
    _say(logging.WARNING, "worker.memory_limit_too_low", text, kib=kib, limit=limit)


def tasks_returned(count: int, worker: str, cause: str) -> None:
    text = f"{count} waiting tasks reclaimed from {worker}: {cause}"
    _say(logging.INFO, "tasks.returned", text, count=count, worker=worker, cause=cause)


def finishes_written(count: int, lease: int) -> None:
    text = f"{count} tasks that a worker had finished and not written are written (lease {lease})"
    _say(logging.INFO, "tasks.finished", text, count=count, lease=lease)


def lease_reclaimed(worker: str, tasks: int) -> None:
    text = f"lease of {worker} ran out: {tasks} tasks reclaimed"
    _say(logging.WARNING, "lease.reclaimed", text, worker=worker, tasks=tasks)


def workers_missing(workers: Sequence[int], lease: float) -> None:
    text = (
        f"{len(workers)} workers hold tasks and are not in the table of workers: was it emptied, "
        f"or the tasks restored without it? Their tasks are reclaimed in {lease:g} s"
    )
    _say(logging.WARNING, "workers.missing", text, workers=list(workers))


def database_lost(process: str, error: BaseException) -> None:
    text = f"{process}: the database does not answer: {first_line(error)}; trying again"
    _say(logging.ERROR, "database.lost", text, process=process)


def database_rejects(process: str, error: BaseException) -> None:
    why = rejection(error) or first_line(error)
    text = f"{process}: cannot connect: {why}: check DATABASES; trying again"
    _say(logging.ERROR, "database.rejects", text, process=process)


def tables_missing(process: str, error: BaseException) -> None:
    text = f"{process}: {first_line(error)}: run manage.py migrate; trying again until then"
    _say(logging.ERROR, "database.tables_missing", text, process=process)


def database_locked(process: str, error: BaseException) -> None:
    text = f"{process}: another process keeps the database locked: {first_line(error)}"
    _say(logging.WARNING, "database.locked", f"{text}; trying again", process=process)


def waited_for_write_lock(process: str, seconds: float) -> None:
    """SQLite has one write lock and does not say which process holds it."""
    text = f"{process}: waited {seconds:.1f} s for SQLite's write lock, which others held"
    _say(logging.WARNING, "database.write_lock", text, process=process, seconds=seconds)


def refused(process: str, what: str, error: BaseException) -> None:
    """The database refused a statement, or taskq's own code failed. The latter has a traceback."""
    ours = "" if isinstance(error, DATABASE_ERRORS) else _traceback(error)
    level = logging.WARNING if meaning(error) is Meaning.BUSY else logging.ERROR
    text = f"{process}: cannot {what}: {first_line(error)}; trying again"
    _say(level, "database.refused", text, ours, process=process)


def refusal_over(process: str, what: str, seconds: float) -> None:
    text = f"{process}: can {what} again after {seconds:.1f} s"
    _say(logging.WARNING, "database.refusal_over", text, process=process, seconds=seconds)


def grants_missing(process: str, statements: list[str]) -> None:
    text = f"{process}: its role lacks grants: run {'; '.join(statements)}"
    _say(logging.ERROR, "database.grants", text, process=process, statements=statements)


def partitions_changed(
    process: str, made: Sequence[datetime.date], dropped: Sequence[datetime.date]
) -> None:
    parts = [
        f"{what} {', '.join(map(str, days))}"
        for what, days in (("made", made), ("dropped", dropped))
        if days
    ]
    text = f"{process}: partitions of taskq_finished: {'; '.join(parts)}"
    _say(logging.INFO, "finished.partitions", text, made=[*made], dropped=[*dropped])


def partitions_lacking(process: str, role: str, owner: str) -> None:
    text = (
        f"{process}: its role {role} may not make or drop partitions of taskq_finished. Finished "
        "tasks go to taskq_finished_default, and are deleted row by row: run manage.py taskq_prune "
        f"once a day as {owner}, or GRANT {owner} TO {role} (docs/how-to/results.md)"
    )
    _say(logging.WARNING, "finished.no_partitions", text, process=process, role=role, owner=owner)


def partitions_busy(process: str, error: Exception) -> None:
    text = (
        f"{process}: for some time no partition of taskq_finished could be made or dropped, as "
        f"others hold locks on it: {first_line(error)}; trying again each minute"
    )
    _say(logging.WARNING, "finished.busy", text, process=process)


def database_back(process: str, seconds: float) -> None:
    text = f"{process}: the database answers again after {seconds:.1f} s"
    _say(logging.WARNING, "database.back", text, process=process, seconds=seconds)


def renewal_late(seconds: float, left: float) -> None:
    text = f"leases were renewed {seconds:.1f} s late, {left:.1f} s before they end"
    _say(logging.WARNING, "lease.late", text, seconds=seconds, left=left)


def pool_started(pool: str, about: Mapping[str, str], **fields: Any) -> None:
    """about: what the pool says of itself, in lines of their own."""
    lines = [f"taskq pool {pool}", *(f"  {name:<9} {said}" for name, said in about.items())]
    said = printable.in_lines("\n".join(lines))
    log.info("%s", said, extra={"event": "pool.started", "fields": {"pool": pool, **fields}})


def threads_before_fork(names: list[str]) -> None:
    text = (
        f"threads that run now will not run in the pool's processes: {', '.join(sorted(names))}. "
        "What they do is not done there, and a lock that one of them holds is never released: "
        "start them in a receiver of taskq.signals.worker_started (docs/how-to/workers.md)"
    )
    _say(logging.WARNING, "pool.threads", text, threads=names)


def ticks_missed(schedule: str, since: datetime.datetime, catch_up: str) -> None:
    then = "one task is sent for all of them" if catch_up == "once" else "they are skipped"
    text = f"schedule {schedule}: ticks since {since:%Y-%m-%d %H:%M:%S %Z} were missed; {then}"
    _say(logging.WARNING, "schedule.missed", text, schedule=schedule, catch_up=catch_up)


def ticks_passed_over(schedule: str, since: datetime.datetime, count: int, most: int) -> None:
    text = (
        f"schedule {schedule}: ticks since {since:%Y-%m-%d %H:%M:%S %Z} were missed; the last "
        f"{most:,} are sent, about {count:,} before them are passed over"
    )
    _say(logging.WARNING, "schedule.passed_over", text, schedule=schedule, count=count)


def schedule_unreadable(schedule: str, row: str, error: Exception) -> None:
    """row: the parts of the row that may be wrong."""
    said = f"schedule {schedule}: {row} cannot be read here and is left to other pools"
    _say(logging.ERROR, "schedule.unreadable", f"{said}: {first_line(error)}", schedule=schedule)


def first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _run(request: Request | None) -> dict[str, Any]:
    """Fields of the run in this process, as its own lines have them."""
    return {} if request is None else {"attempt": request.attempt, "queue": request.queue}


def _span(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.{0 if seconds >= 0.01 else 1}f} ms"


def _traceback(error: BaseException) -> str:
    return "".join(tracebacks.format_exception(error)).rstrip()


def _say(level: int, event: str, text: str, below: str = "", **fields: Any) -> None:
    """below: a traceback, in lines that follow the text. The text itself is printed as one line."""
    if log.isEnabledFor(level):
        line = printable.in_a_line(text)
        said = f"{line}\n{printable.in_lines(below)}" if below else line
        if below:
            fields["exception"] = below
        extra = {"event": event, "fields": fields}
        # Not by log(), which looks for the line that calls it: that is always this one.
        log.handle(log.makeRecord(log.name, level, __file__, 0, said, (), None, extra=extra))
