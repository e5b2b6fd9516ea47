"""The common part of peers that are Django apps."""

from __future__ import annotations

import os
import sys

import django
from django.core.management import call_command
from django.db import transaction

from stress.bench.queue import Queue

MANAGE = "stress.project.manage"


class DjangoQueue(Queue):
    """settings: their module."""

    def __init__(self, settings: str) -> None:
        os.environ["DJANGO_SETTINGS_MODULE"] = settings
        django.setup()

    def prepare(self) -> None:
        call_command("migrate", verbosity=0)

    def fill(self, task: str, count: int) -> None:
        self.send_in_transaction(task, count)

    def send_in_transaction(self, task: str, count: int) -> None:
        with transaction.atomic():
            for _ in range(count):
                self.send(task)

    def manage(self, *words: str) -> list[str]:
        return [sys.executable, "-m", MANAGE, *words]


class DjangoTasks(DjangoQueue):
    """A backend of Django's own tasks."""

    def send(self, task: str, *arguments: int) -> None:
        from stress.bench.peers.tasks import tasks

        tasks[task].enqueue(*arguments)
