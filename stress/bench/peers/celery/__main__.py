from __future__ import annotations

import sys

from stress.bench.peers.celery.app import tasks
from stress.bench.queue import Queue, main


class CeleryQueue(Queue):
    def prepare(self) -> None:
        """Redis needs nothing."""

    def send(self, task: str, *arguments: int) -> None:
        tasks[task].delay(*arguments)

    def work(self, concurrency: int) -> list[list[str]]:
        app = "stress.bench.peers.celery.app"
        return [[sys.executable, "-m", "celery", "-A", app, "worker", "-c", str(concurrency)]]


main(CeleryQueue())
