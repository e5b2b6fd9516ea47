"""What has become of a task that does not wait."""

from __future__ import annotations

import datetime

from taskq.models import FinishedTask, RecentRun, Result, State, Task, TaskQuerySet, Worker
from taskq.task.measures import End
from taskq.task.progress import Progress
from taskq.why.reason import Code, Reason, counted, earlier, moment, quoted, span


def running(task: Task, alias: str, now: datetime.datetime) -> list[Reason]:
    """Of a task that a worker holds, or whose worker is gone."""
    worker = task.worker
    ends = worker.lease_expires_at if worker is not None else None
    if worker is None or ends is None or ends <= now:
        return [_lost(task, worker, alias, now)]
    # By taskq_task_running. A worker holds one batch at most.
    held = TaskQuerySet(Task, using=alias).filter(worker=worker, state=State.RUNNING)
    first = held.order_by("started_at", "execute_at", "pk").values_list("pk", "name").first()
    name = f"{quoted(worker.name)} of {quoted(worker.pool)}"
    since = (
        f"{earlier(task.started_at, now)}, at {moment(task.started_at)}" if task.started_at else ""
    )
    found = []
    if first is None or first[0] == task.pk:
        progress = Progress.read(task.progress, task.attempt)
        so_far = f" It says: {progress}." if progress is not None else ""
        text = f"It runs: {name} claimed it {since or 'at an unknown time'}.{so_far}"
        found.append(Reason(Code.RUNNING, text, f"To end it: manage.py taskq_cancel {task.pk}."))
    else:
        found.append(
            Reason(
                Code.CLAIMED,
                f"{name} has claimed it {since or 'at an unknown time'}, together with "
                f"{quoted(first[1])} #{first[0]}, which comes first.",
                tasks=(first[0],),
            )
        )
    if task.cancelled_at is not None:
        found.append(
            Reason(
                Code.ASKED_TO_END,
                f"It was cancelled {earlier(task.cancelled_at, now)}. Its worker was asked to end "
                "it, and is killed if it goes on for TASKQ['CANCEL_GRACE'] seconds.",
            )
        )
    return found


def _lost(task: Task, worker: Worker | None, alias: str, now: datetime.datetime) -> Reason:
    if worker is None:
        gone = "the row of its worker is gone"
    elif worker.lease_expires_at is None:
        gone = f"the lease of {quoted(worker.name)} of {quoted(worker.pool)} is no time"
    else:
        gone = (
            f"the lease of {quoted(worker.name)} of {quoted(worker.pool)} ended "
            f"{earlier(worker.lease_expires_at, now)}"
        )
    alive = Worker.objects.using(alias).filter(lease_expires_at__gt=now).exists()
    return Reason(
        Code.LOST,
        f"It is lost: {gone}. "
        + ("A pool that runs will reclaim it." if alive else "No pool runs that could reclaim it."),
        "" if alive else "Start manage.py taskq_pool.",
    )


def failed(task: Task, alias: str, now: datetime.datetime) -> list[Reason]:
    """Of a task that was given up, or cancelled while it ran."""
    when = f" {earlier(task.failed_at, now)}, at {moment(task.failed_at)}" if task.failed_at else ""
    error = f": {quoted(task.error)}" if task.error else ""
    again = f"To run it again: manage.py taskq_retry {task.pk}."
    if task.cancelled_at is not None:
        found = [Reason(Code.CANCELLED, f"It was cancelled, and ended{when}{error}.", again)]
    else:
        counts = [(task.retries, "retry", "retries"), (task.losses, "loss", "losses")]
        tries = " and ".join(counted(*each) for each in counts if each[0])
        after = f" after {tries}" if tries else ""
        found = [Reason(Code.FAILED, f"It failed{when}{after}{error}.", again)]
    if task.unique_key is not None:
        # By taskq_task_unique.
        same = TaskQuerySet(Task, using=alias).filter(
            name=task.name, unique_key=task.unique_key, state__lt=State.FAILED
        )
        holder = same.values_list("pk", flat=True).first()
        if holder is not None:
            found.append(
                Reason(
                    Code.KEY_HELD,
                    f"Task #{holder} holds its unique key {quoted(task.unique_key)}. So it cannot "
                    "be retried until that one is done.",
                    tasks=(holder,),
                )
            )
    return found


def gone(id: int, alias: str, now: datetime.datetime) -> list[Reason]:
    """Of a task that has no row."""
    result: Result | FinishedTask | None = Result.objects.using(alias).filter(pk=id).first()
    kept = "Its result is kept."
    if result is None:
        result = FinishedTask.objects.using(alias).filter(pk=id).first()
        kept = "Its row is kept among the finished tasks."
    if result is not None:
        when = result.finished_at
        ended = f" {earlier(when, now)}, at {moment(when)}" if when is not None else ""
        text = f"It is done: {quoted(result.worker)} ended it{ended}. {kept}"
        return [Reason(Code.DONE, text)]
    runs = RecentRun.objects.using(alias).filter(task_id=id)  # by taskq_recentrun_task
    run = runs.order_by("-started_at", "-id").first()
    if run is None:
        return [
            Reason(
                Code.GONE,
                "There is no such task, and no result or recent run of one. It is done and keeps "
                "no result; or it was discarded, expired, or cancelled before it ran; or the "
                "transaction that sends it has not committed.",
            )
        ]
    started = f" {earlier(run.started_at, now)}" if run.started_at is not None else ""
    text = (
        f"{quoted(run.worker)} of {quoted(run.pool)} started it{started}, for {span(run.seconds)}. "
    )
    if run.end == End.DONE:
        return [Reason(Code.DONE, f"It is done: {text}It keeps no result.")]
    end = End(run.end).label if run.end in End.values else "unknown"
    return [
        Reason(
            Code.GONE,
            f"Its row is gone. {text}That run ended as: {end}. Later it was done, discarded, or "
            "pruned.",
        )
    ]
