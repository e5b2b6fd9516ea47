"""Why a task that waits is not running. Each function looks at one possible reason."""

from __future__ import annotations

import datetime

from django.db import InternalError, ProgrammingError, transaction

from taskq import conf
from taskq.events import first_line
from taskq.models import PausedQueue, State, Task, TaskQuerySet
from taskq.task import registry
from taskq.why import lane
from taskq.why.pools import Pools
from taskq.why.reason import Code, Reason, counted, earlier, later, moment, quoted, span

#: Seconds after which a task should have started if nothing is before it: a poll, and some more.
_SOON = 3.0


def reasons(task: Task, alias: str, now: datetime.datetime) -> list[Reason]:
    """What holds the task up, and after that what else there is to know of it."""
    if task.state != State.READY:
        return [_unknown_state(task)]
    pools = Pools(alias, task.queue)
    found = [
        _expired(task, now),
        _unknown_name(task, now),
        _not_due(task, now),
        _paused(task, alias),
        pools.absent(),
    ]
    if not any(found):
        found += [lane.before(task, pools.serving, alias, now), pools.busy()]
    if not any(found):
        found.append(_unexplained(task, pools, alias, now))
    found += [_claimed_alone(task), _twin(task, alias)]
    return [reason for reason in found if reason is not None]


def _unknown_state(task: Task) -> Reason:
    return Reason(
        Code.UNKNOWN_STATE,
        f"Its state is {task.state}, which this version of taskq does not know. No pool of this "
        "version touches it.",
        "Is a newer version of taskq at work on the same database? Deploy one version everywhere.",
    )


def _expired(task: Task, now: datetime.datetime) -> Reason | None:
    expires, due = task.expires_at, task.execute_at
    if expires is None:
        return None
    if expires <= now:
        return Reason(
            Code.EXPIRED,
            f"It expired {earlier(expires, now)}, at {moment(expires)}. The worker that claims it "
            "will drop it.",
            "If it is still wanted, send it again.",
        )
    if due is not None and expires <= due:
        return Reason(
            Code.EXPIRES_FIRST,
            f"It expires at {moment(expires)}, before it is due. So it will be dropped.",
            "Send it again, with an expiry that is later than its due time.",
        )
    return None


def _not_due(task: Task, now: datetime.datetime) -> Reason | None:
    due = task.execute_at
    if due is None or due <= now or task.unknown_since is not None:
        return None
    when = f"{later(due, now)}, at {moment(due)}"
    if not task.attempt:
        return Reason(Code.NOT_DUE, f"It is due {when}.", until=due)
    last = f" after this error: {quoted(task.error)}" if task.error else ""
    counts = [(task.retries, "retry", "retries"), (task.losses, "loss", "losses")]
    tries = " and ".join(counted(*each) for each in counts if each[0])
    return Reason(
        Code.WAITS_FOR_RETRY,
        f"It is tried again {when}{last}." + (f" So far it had {tries}." if tries else ""),
        f"To run it now: manage.py taskq_retry {task.pk}.",
        due,
    )


def _unknown_name(task: Task, now: datetime.datetime) -> Reason | None:
    since = task.unknown_since
    if since is None:
        return None
    fails = since + datetime.timedelta(seconds=conf.settings().unknown_task_ttl)
    due = task.execute_at
    again = "now" if due is None or due <= now else later(due, now)
    here = "knows it" if registry.find(task.name) else "does not know it either"
    return Reason(
        Code.UNKNOWN_NAME,
        f"Workers that claimed it did not know the task {quoted(task.name)}, for the first time "
        f"{earlier(since, now)}. It is tried again {again}. If no worker knows it by "
        f"{moment(fails)}, it fails. This process {here}.",
        "Restart the pools with code that has it. It must be in the tasks.py of an installed "
        "app, or in a module of TASKQ['IMPORTS'].",
        fails,
    )


def _paused(task: Task, alias: str) -> Reason | None:
    pause = PausedQueue.objects.using(alias).filter(pk=task.queue).first()
    if pause is None:
        return None
    since = f" since {moment(pause.paused_at)}" if pause.paused_at is not None else ""
    by = f" by {quoted(pause.paused_by)}" if pause.paused_by else ""
    queue = quoted(task.queue)
    return Reason(
        Code.QUEUE_PAUSED,
        f"Its queue {queue} is paused{since}{by}.",
        f"To resume it: manage.py taskq_resume {queue}.",
    )


def _unexplained(task: Task, pools: Pools, alias: str, now: datetime.datetime) -> Reason:
    """Nothing is before it, and a worker is idle."""
    waited = (now - task.execute_at).total_seconds() if task.execute_at is not None else 0.0
    idle = counted(pools.idle, "idle worker")
    if waited < _SOON:
        text = f"It has been due for {span(waited)}, and nothing is before it: {idle}."
        return Reason(Code.JUST_DUE, text, "Look again in a second.")
    held = _lock(task, alias)
    if held:
        return held
    return Reason(
        Code.UNEXPLAINED,
        f"Nothing that the database knows holds it up. It has been due for {span(waited)}, "
        f"nothing is before it, and its queue has {idle}.",
        "Read the log of the pool: it says when the database refuses a statement, or when a "
        "process does not answer.",
    )


def _lock(task: Task, alias: str) -> Reason | None:
    """The reason, if an open transaction has locked the row: a claim passes over it.

    Only an attempt to lock the row can tell. It is undone at once.
    """
    rows = TaskQuerySet(Task, using=alias).filter(pk=task.pk, state=State.READY)
    try:
        with transaction.atomic(using=alias):
            free = rows.select_for_update(skip_locked=True).values_list("pk").first()
            transaction.set_rollback(True, using=alias)
    except (InternalError, ProgrammingError) as error:  # a standby; a role that may only read
        return Reason(
            Code.UNEXPLAINED,
            "It is due, nothing is before it, and a worker is idle. Whether a transaction has "
            f"locked it cannot be seen from here: {first_line(error)}.",
            "Ask again with a connection that may write.",
        )
    if free is not None or not rows.exists():
        return None
    return Reason(
        Code.LOCKED,
        "A transaction that is still open has locked its row: a call that joined it as a unique "
        "task, a retry, or a cancel. It starts after the end of that transaction.",
        "pg_stat_activity lists the sessions; look for one that is idle in transaction.",
    )


def _claimed_alone(task: Task) -> Reason | None:
    if not task.isolated:
        return None
    return Reason(
        Code.CLAIMED_ALONE,
        "It was there when a worker was lost, so a worker claims it alone, and not with others. "
        "That does not hold it up.",
    )


def _twin(task: Task, alias: str) -> Reason | None:
    if task.unique_key is None:
        return None
    twins = TaskQuerySet(Task, using=alias).filter(
        name=task.name, unique_key=task.unique_key, state__lt=State.FAILED
    )
    other = twins.exclude(pk=task.pk).values_list("pk", flat=True).first()
    if other is None:
        return None
    return Reason(
        Code.UNIQUE_TWIN,
        f"Task #{other} has the same unique key {quoted(task.unique_key)}. When a task has been "
        "due for 10 s, calls use a second one. Both will run.",
        tasks=(other,),
    )
