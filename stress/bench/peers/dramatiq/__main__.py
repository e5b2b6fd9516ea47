from __future__ import annotations

import sys

from stress.bench.peers.dramatiq.app import tasks
from stress.bench.queue import Queue, main


class DramatiqQueue(Queue):
    def prepare(self) -> None:
        """Redis needs nothing."""

    def send(self, task: str, *arguments: int) -> None:
        tasks[task].send(*arguments)

    def work(self, concurrency: int) -> list[list[str]]:
        processes, threads = (2, 8) if concurrency == 8 else (concurrency, 1)
        sizes = ["-p", str(processes), "-t", str(threads)]
        return [[sys.executable, "-m", "dramatiq", "stress.bench.peers.dramatiq.app", *sizes]]


main(DramatiqQueue())
