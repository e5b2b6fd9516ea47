"""Wake-ups, and whether a pool asks for them."""

from __future__ import annotations

from django.db import connection

from taskq.keeper.listener import MANY_WAKES
from taskq.models import Worker
from tests.project.lab import tasks

#: Options of a pool: far longer than any of these tests, so only a wake-up can be in time.
DEAF = ("--poll", "600")


def asleep():
    """The pool sleeps and wants to be woken."""
    return Worker.objects.filter(listens=True).exists()


def ring(times):
    """Wake-ups and no work, as the tasks of queues that others serve send them."""
    with connection.cursor() as cursor:
        for _ in range(times):
            cursor.execute("NOTIFY taskq")


def crowded_out():
    """A task, too rare to keep workers busy, in a crowd that comes for others; whether the
    pool has had enough of wake-ups."""
    tasks.quick.delay(0)
    ring(MANY_WAKES)
    return not asleep()
