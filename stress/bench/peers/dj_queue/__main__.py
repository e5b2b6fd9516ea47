from __future__ import annotations

import os

from stress.bench.peers.django_queue import DjangoTasks
from stress.bench.queue import main


class DjQueue(DjangoTasks):
    def fill(self, task: str, count: int) -> None:
        self.send_many(task, count)

    def send_many(self, task: str, count: int) -> None:
        from stress.bench.peers.tasks import tasks

        backend = tasks[task].get_backend()
        backend.enqueue_all([(tasks[task], [], {})] * count)

    def work(self, concurrency: int) -> list[list[str]]:
        # Its settings say how many: see settings.py.
        os.environ["BENCH_WORKERS"] = str(concurrency)
        return [self.manage("dj_queue")]


main(DjQueue("stress.bench.peers.dj_queue.settings"))
