"""The tasks of the bench, as users of taskq write them.

BENCH_VARIANT chooses the door: Celery's, without results, or "django", which keeps them.
"""

import os
from importlib import import_module
from typing import Any

from django.db import connection

from stress.bench import work
from stress.bench.contestants import DJANGO_DOOR
from stress.bench.raw import EFFECT
from taskq.celery import shared_task

task: Any = shared_task
if os.environ.get("BENCH_VARIANT") == DJANGO_DOOR.variant:
    task = import_module("taskq.django").task  # Django 5.2 needs a backport of its tasks

noop = task(work.noop)
nap = task(work.nap)
long_nap = task(work.long_nap)
echo = task(work.echo)
mark = task(work.mark)
nap_and_mark = task(work.nap_and_mark)
# Retried at once, and for ever.
fail = task(autoretry_for=(ValueError,), max_retries=None, default_retry_delay=0)(work.fail)


@task(atomic=True)  # type: ignore[untyped-decorator]
def order(number: int) -> None:
    """Write one row, in one transaction with its own completion.

    By a cursor: what the ORM takes is not the queue's.
    """
    with connection.cursor() as cursor:
        cursor.execute(EFFECT, (number, "now"))
    work.noop()
