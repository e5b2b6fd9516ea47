"""A task with options of its own, the ids of its calls, and a call that has failed."""

from __future__ import annotations

from taskq.celery import shared_task
from taskq.store import endings


def define(function=None, **options):
    def call(order, lines=1, *, force=False):
        pass

    return shared_task(name="unique.call", **options)(function or call)


def pk(result):
    return result.id.int


def failed(task, worker, *args):
    id = pk(task.delay(*args))
    worker.db.end(worker.id, [endings.fail(worker.claim_one().run, error="", traceback="")])
    return id
