"""taskq as a queue under test: default settings, the project of the demo."""

from __future__ import annotations

import os
import sys
from typing import Any

import django
from django.core.management import call_command
from django.db import connection, transaction

from stress.bench.queue import Queue, main


class Taskq(Queue):
    def prepare(self) -> None:
        call_command("migrate", verbosity=0)

    def send(self, task: str, *arguments: int) -> None:
        _tasks()[task].delay(*arguments)

    def fill(self, task: str, count: int) -> None:
        name = _tasks()[task].name
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO taskq_task (name) VALUES (%s)", [[name]] * count)

    def send_in_transaction(self, task: str, count: int) -> None:
        function = _tasks()[task]
        with transaction.atomic():
            for _ in range(count):
                function.delay()

    def send_many(self, task: str, count: int) -> None:
        _tasks()[task].delay_many([()] * count)

    def work(self, concurrency: int) -> list[list[str]]:
        manage = [sys.executable, "-m", "stress.project.manage"]
        return [[*manage, "taskq_pool", "-c", str(concurrency)]]


def _tasks() -> dict[str, Any]:
    from stress.bench.load import tasks

    return vars(tasks)


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "stress.bench.load.settings"
    if sys.argv[1:2] != ["work"]:
        django.setup()
    main(Taskq())
