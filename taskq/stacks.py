"""Where a running task is now: its stack, asked for from any host.

The question is a row in the database. The keeper of the worker's pool sees it, asks the worker, and
answers in the row. The run goes on.
"""

from __future__ import annotations

import time
import uuid

from django.db import connections, router
from django.db.models.functions import Now

from taskq import conf
from taskq.exceptions import NoStack
from taskq.models import StackRequest, State, Task, Worker
from taskq.sql.notify import tell_stack
from taskq.task import ids
from taskq.values import check_seconds

#: Seconds for an answer, beside the heartbeat after which every pool looks.
ANSWER_WITHIN = 3.0
#: Seconds between two looks for the answer: at first, and at most.
FIRST_LOOK, LAST_LOOK = 0.01, 0.1


def ask(
    task: int | str | uuid.UUID, *, timeout: float | None = None, using: str | None = None
) -> str:
    """Ask a running task where it is.

    Only the main thread of its worker is asked. Of a coroutine that waits, the stack shows the
    event loop. Call this outside of a transaction: nobody else would see the question.

    Args:
        task: The number of the task, or the UUID of its ``AsyncResult``.
        timeout: Seconds to wait for the answer. A pool that hears wake-ups answers within a third
            of a second, any other within a heartbeat. So the default is ``HEARTBEAT`` and three
            seconds.
        using: The alias of the database. By default the router decides.

    Returns:
        A line that says what the process does, an empty line, and the stack as Python's
        ``faulthandler`` writes it, the innermost line first.

    Raises:
        NoStack: The task does not run, or there was no answer in time. The text says why.
        ValueError: ``task`` is no id, or ``timeout`` no positive number of seconds.
        RuntimeError: A transaction is open.
    """
    key, alias = ids.parse(task), using or router.db_for_write(Task)
    found = (
        Task.objects.using(alias).filter(pk=key).select_related("worker").first()
        if key < ids.TOO_LARGE
        else None
    )
    if found is None:
        raise NoStack(f"task {task} does not run: it has ended, or there is none with this id")
    if found.state != State.RUNNING:
        raise NoStack(f"task {found} does not run: it is {State(found.state).label}")
    if found.worker is None:
        raise NoStack(f"task {found} is lost: its worker is gone")
    return _answer(found.worker, found.pk, timeout, alias)


def ask_worker(
    name: str, pool: str | None = None, *, timeout: float | None = None, using: str | None = None
) -> str:
    """Ask a process of a pool where it is, whatever it does.

    Args:
        name: Its name in the table of workers, such as "worker 3" or "keeper".
        pool: Its pool, such as "web-1:4711". It may be left out while only one pool has such a
            name.
        timeout: As for :func:`ask`.
        using: As for :func:`ask`.

    Returns:
        As :func:`ask`.

    Raises:
        NoStack: There is no such process, or there was no answer in time. The text says why.
        ValueError: ``timeout`` is no positive number of seconds.
        RuntimeError: A transaction is open.
    """
    alias = using or router.db_for_write(Task)
    workers = Worker.objects.using(alias).filter(name=name, lease_expires_at__gt=Now())
    found = list(workers.filter(pool=pool) if pool else workers)
    if not found:
        where = f"in pool {pool!r}" if pool else "in any pool"
        raise NoStack(f"there is no {name!r} {where}: a name is such as 'worker 1' or 'keeper'")
    if len(found) > 1:
        pools = ", ".join(sorted(worker.pool for worker in found))
        raise NoStack(f"several pools have a {name!r}: name one of {pools}")
    return _answer(found[0], 0, timeout, alias)


def _seconds(timeout: float | None) -> float:
    if timeout is None:
        return conf.settings().heartbeat + ANSWER_WITHIN
    check_seconds("timeout", timeout)
    return float(timeout)


def _answer(worker: Worker, task: int, timeout: float | None, alias: str) -> str:
    wait = _seconds(timeout)
    if connections[alias].in_atomic_block:
        raise RuntimeError(
            "a stack is asked for within a transaction, which no pool sees before the commit: ask "
            "outside of it (for a view: @transaction.non_atomic_requests)"
        )
    requests = StackRequest.objects.using(alias)
    request = requests.create(worker_id=worker.pk, task_id=task)
    until = time.monotonic() + wait
    pause = FIRST_LOOK
    try:
        tell_stack(alias)
        while True:
            answers = requests.filter(pk=request.pk, answered_at__isnull=False)
            answer = answers.values_list("refusal", "stack").first()
            if answer is not None:
                break
            if time.monotonic() > until:
                raise NoStack(
                    f"{worker} has not answered within {wait:g} s: its pool is gone or cut off "
                    "from the database, or it hears no wake-ups, and is idle or has a longer "
                    "HEARTBEAT"
                )
            time.sleep(pause)
            pause = min(LAST_LOOK, 1.5 * pause)
    finally:
        requests.filter(pk=request.pk).delete()
    refusal, stack = answer
    if refusal:
        raise NoStack(f"{worker} gives no stack: {refusal}")
    return str(stack)
