"""taskq as a queue under test: default settings, the project of the demo."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import django
from django.core.management import call_command
from django.db import connection, transaction

from stress.bench.queue import Queue, main


class Taskq(Queue):
    def prepare(self) -> None:
        call_command("migrate", verbosity=0)

    def send(self, task: str, *arguments: int) -> None:
        _sender(task)(*arguments)

    def fill(self, task: str, count: int) -> None:
        name = _tasks()[task].name
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO taskq_task (name) VALUES (%s)", [[name]] * count)

    def send_in_transaction(self, task: str, count: int) -> None:
        send = _sender(task)
        with transaction.atomic():
            for _ in range(count):
                send()

    def send_many(self, task: str, count: int) -> None:
        _sender(task, "_many")([()] * count)

    def work(self, concurrency: int) -> list[list[str]]:
        manage = [sys.executable, "-m", "stress.project.manage"]
        return [[*manage, "taskq_pool", "-c", str(concurrency)]]


def _tasks() -> dict[str, Any]:
    from stress.bench.load import tasks

    return vars(tasks)


def _sender(task: str, kind: str = "") -> Callable[..., object]:
    """``delay`` or ``delay_many`` of a task, or what they are called at Django's door."""
    function = _tasks()[task]
    verb = "delay" if hasattr(function, "delay") else "enqueue"
    sender: Callable[..., object] = getattr(function, verb + kind)
    return sender


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "stress.bench.load.settings"
    if sys.argv[1:2] != ["work"]:
        django.setup()
    main(Taskq())
