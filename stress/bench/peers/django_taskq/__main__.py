from __future__ import annotations

from stress.bench.peers.django_queue import DjangoQueue
from stress.bench.queue import main


class DjangoTaskq(DjangoQueue):
    def send(self, task: str, *arguments: int) -> None:
        from stress.bench.peers.django_taskq.tasks import tasks

        tasks[task].delay(*arguments)

    def work(self, concurrency: int) -> list[list[str]]:
        return [self.manage("taskq")] * concurrency


main(DjangoTaskq("stress.bench.peers.django_taskq.settings"))
