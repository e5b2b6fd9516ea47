from __future__ import annotations

from stress.bench.peers.django_queue import DjangoTasks
from stress.bench.queue import main


class DjangoOx(DjangoTasks):
    def fill(self, task: str, count: int) -> None:
        self.send_many(task, count)

    def send_many(self, task: str, count: int) -> None:
        from django_ox.bulk import enqueue_many

        from stress.bench.peers.tasks import tasks

        enqueue_many(tasks[task], [((), {})] * count)

    def work(self, concurrency: int) -> list[list[str]]:
        return [self.manage("ox_worker", "--processes", str(concurrency), "--concurrency", "1")]


main(DjangoOx("stress.bench.peers.django_ox.settings"))
