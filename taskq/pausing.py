"""Pause and resume a queue. While a queue is paused, no pool claims its tasks.

A pause is a row. A worker sees it when it looks for lanes (``taskq.sql.postgresql.claims.LANES``).
It looks every 50 ms, and may still hold about 80 ms of claimed work, which it finishes. So shortly
after the commit nothing more of the queue starts. Running tasks go on.

Checking a pause flag in every claim would slow down all claims and save at most these 50 ms.
"""

from __future__ import annotations

from django.db import router

from taskq.models import PausedQueue, Task
from taskq.printable import in_a_line
from taskq.sql.notify import wake
from taskq.values import check_queue


def pause(queue: str, *, by: str = "", using: str | None = None) -> bool:
    """Pause a queue: from the commit on no pool claims tasks of it. They can be sent, and wait.

    Args:
        queue: The whole name of the queue. A star is not allowed.
        by: Who pauses it, and why. The admin and ``taskq_pause`` show it.
        using: The alias of the database. By default the router decides.

    Returns:
        True if the queue was not paused yet.

    Raises:
        TypeError: The name is no str.
        ValueError: The name cannot name a queue.
    """
    check_queue(queue)
    paused = PausedQueue.objects.using(_alias(using))
    return paused.get_or_create(queue=queue, defaults={"paused_by": in_a_line(by)[:255]})[1]


def resume(queue: str, *, using: str | None = None) -> bool:
    """Resume a queue: from the commit on pools claim tasks of it. Sleeping pools are woken.

    Args:
        queue: The whole name of the queue.
        using: The alias of the database. By default the router decides.

    Returns:
        True if the queue was paused.

    Raises:
        TypeError: The name is no str.
        ValueError: The name cannot name a queue.
    """
    check_queue(queue)
    alias = _alias(using)
    removed, _ = PausedQueue.objects.using(alias).filter(queue=queue).delete()
    if removed:
        wake(alias)
    return removed > 0


def paused(*, using: str | None = None) -> list[PausedQueue]:
    """List the paused queues, in order of name.

    Args:
        using: The alias of the database. By default the router decides.
    """
    return list(PausedQueue.objects.using(_alias(using)).order_by("queue"))


def _alias(using: str | None) -> str:
    # The database of the tasks, because a claim reads both in one statement.
    return using or router.db_for_write(Task)
