from __future__ import annotations

from stress.bench.peers.django_queue import DjangoTasks
from stress.bench.queue import main


class DjangoTasksDb(DjangoTasks):
    def work(self, concurrency: int) -> list[list[str]]:
        # Their ids are random by default, so one command line serves all.
        return [self.manage("db_worker")] * concurrency


main(DjangoTasksDb("stress.bench.peers.django_tasks_db.settings"))
