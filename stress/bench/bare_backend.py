"""The limit of an enqueue at Django's door: a backend that does no more than it must.

    python -m stress.bench.bare_backend --count 1000

sends tasks by Django's ``enqueue()``. The backend encodes the arguments, inserts a row by
Django's cursor, and makes the TaskResult that Django asks for. It checks nothing.
"""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

import django
from django.db import connection
from django.test.utils import override_settings
from django.utils import timezone

from stress.bench import work
from stress.bench.queue import WARM_UP, seconds
from stress.bench.raw import INSERT
from taskq.django.compat import BaseTaskBackend, Task, TaskResult, TaskResultStatus

RETURNING = f"{INSERT} RETURNING id"


class BareBackend(BaseTaskBackend):
    """Sends tasks, and nothing else."""

    def enqueue(  # type: ignore[override]  # the stubs' are of one task's own types
        self, task: Task[..., Any], args: Any, kwargs: Any
    ) -> TaskResult[..., Any]:
        with connection.cursor() as cursor:
            cursor.execute(RETURNING, (task.module_path, json.dumps([args, kwargs])))
            ((id,),) = cursor.fetchall()
        return TaskResult(
            task=task,
            id=str(id),
            status=TaskResultStatus.READY,
            enqueued_at=timezone.now(),
            started_at=None,
            last_attempted_at=None,
            finished_at=None,
            args=args,
            kwargs=kwargs,
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )


def send(count: int) -> float:
    """Send so many tasks, each for itself. Returns the seconds that it took."""
    tasks = {"default": {"BACKEND": f"{__spec__.name}.BareBackend"}}
    with override_settings(TASKS=tasks):
        task: Task[[], None] = Task(
            priority=0,
            func=work.noop,
            backend="default",
            queue_name="default",
            run_after=None,
            takes_context=False,
        )
        for _ in range(WARM_UP):
            task.enqueue()
        return seconds(task.enqueue, count)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=0)
    count = parser.parse_args().count
    os.environ["DJANGO_SETTINGS_MODULE"] = "stress.bench.load.settings"
    django.setup()
    print(json.dumps(send(count)))


if __name__ == "__main__":
    main()
