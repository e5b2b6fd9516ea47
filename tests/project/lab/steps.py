"""Tasks for workflows: they note what they get, and pass on what they are told."""

from __future__ import annotations

import time

from stress.project.runs import note, run
from taskq.celery import shared_task


@shared_task
def part(key, value, seconds=0.0):
    with run(key):
        time.sleep(seconds)
    return value


@shared_task(atomic=True)
def atomic_part(key, value):
    with run(key):
        return value


@shared_task
def gather(key, values):
    note("start", key=key)
    note("gathered", key=key, values=values)
    return sum(values)


@shared_task(max_retries=0)
def broken(key):
    note("start", key=key)
    raise ValueError(key)


@shared_task
def count_them(values):
    return len(values)
