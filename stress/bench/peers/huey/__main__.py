from __future__ import annotations

import sys

from stress.bench.peers.huey.app import tasks
from stress.bench.queue import Queue, main


class HueyQueue(Queue):
    def prepare(self) -> None:
        """Redis needs nothing."""

    def send(self, task: str, *arguments: int) -> None:
        tasks[task](*arguments)

    def work(self, concurrency: int) -> list[list[str]]:
        app = "stress.bench.peers.huey.app.huey"
        consumer = [sys.executable, "-m", "huey.bin.huey_consumer", app]
        return [[*consumer, "-w", str(concurrency), "-k", "process"]]


main(HueyQueue())
