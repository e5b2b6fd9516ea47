"""Pause a queue, and resume it: nothing of a paused queue is claimed, by any pool.

A pause is a row, which the look at the lanes sees (``taskq.sql.postgresql.tasks.LANES``). A
worker looks again after 50 ms, and holds claimed tasks for some 80 ms of work: those it
finishes. So a moment after the pause has committed nothing more of the queue starts. What
runs goes on.
"""

from __future__ import annotations

from django.db import router

from taskq.models import PausedQueue, Task
from taskq.sql.notify import wake
from taskq.values import check_queue


def pause(queue: str, *, by: str = "", using: str | None = None) -> bool:
    """Have no pool claim tasks of this queue, from the commit on; whether it was not paused.

    Tasks are sent to it as ever, and wait. A prefix with a star is none: name each queue.

    by: who does it, to be shown. using: the database alias; by default where the router
        sends writes of ``Task``.

    Raises TypeError or ValueError for what cannot name a queue.
    """
    check_queue(queue)
    paused = PausedQueue.objects.using(_alias(using))
    return paused.get_or_create(queue=queue, defaults={"paused_by": by[:255]})[1]


def resume(queue: str, *, using: str | None = None) -> bool:
    """Have tasks of this queue claimed again, from the commit on; whether it was paused.

    A pool that sleeps is woken. Raises as :func:`pause`.
    """
    check_queue(queue)
    alias = _alias(using)
    removed, _ = PausedQueue.objects.using(alias).filter(queue=queue).delete()
    if removed:
        wake(alias)
    return removed > 0


def paused(*, using: str | None = None) -> list[PausedQueue]:
    """The queues that are paused, by name."""
    return list(PausedQueue.objects.using(_alias(using)).order_by("queue"))


def _alias(using: str | None) -> str:
    # Where the tasks are: claims ask for both in one statement.
    return using or router.db_for_write(Task)
