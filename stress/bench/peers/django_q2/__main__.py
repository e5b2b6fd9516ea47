from __future__ import annotations

import os

from stress.bench.peers.django_queue import DjangoQueue
from stress.bench.queue import main


class DjangoQ2(DjangoQueue):
    def send(self, task: str, *arguments: int) -> None:
        from django_q.tasks import async_task

        async_task(f"stress.bench.work.{task}", *arguments)

    def work(self, concurrency: int) -> list[list[str]]:
        os.environ["BENCH_CONCURRENCY"] = str(concurrency)
        return [self.manage("qcluster")]


main(DjangoQ2("stress.bench.peers.django_q2.settings"))
