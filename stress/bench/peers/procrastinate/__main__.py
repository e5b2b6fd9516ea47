from __future__ import annotations

import sys
from typing import Any

from stress.bench.peers.procrastinate.app import app, tasks
from stress.bench.queue import Queue, main


class ProcrastinateQueue(Queue):
    def __init__(self) -> None:
        self._open = False

    def prepare(self) -> None:
        with app.open():
            app.schema_manager.apply_schema()

    def send(self, task: str, *arguments: int) -> None:
        named = {"number": arguments[0]} if arguments else {}
        self._task(task).defer(**named)

    def fill(self, task: str, count: int) -> None:
        self.send_many(task, count)

    def send_many(self, task: str, count: int) -> None:
        self._task(task).batch_defer(*[{}] * count)

    def work(self, concurrency: int) -> list[list[str]]:
        command = [
            sys.executable,
            "-m",
            "procrastinate",
            "--app",
            "stress.bench.peers.procrastinate.app.app",
        ]
        processes = 2 if concurrency == 8 else 1
        return [[*command, "worker", "-c", str(concurrency)]] * processes

    def _task(self, name: str) -> Any:
        if not self._open:
            app.open()
            self._open = True
        return tasks[name]


main(ProcrastinateQueue())
