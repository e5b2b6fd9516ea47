from __future__ import annotations

import asyncio
import functools
import os
import sys

import asyncpg
import psycopg
from pgqueuer.db import AsyncpgDriver, SyncPsycopgDriver
from pgqueuer.queries import Queries, SyncQueries

from stress.bench.queue import Queue, main


class PgQueuerQueue(Queue):
    def prepare(self) -> None:
        asyncio.run(_install())

    def send(self, task: str, *arguments: int) -> None:
        self._queries.enqueue(task, _payload(*arguments))

    def fill(self, task: str, count: int) -> None:
        self.send_many(task, count)

    def send_in_transaction(self, task: str, count: int) -> None:
        with self._connection.transaction():
            for _ in range(count):
                self.send(task)

    def send_many(self, task: str, count: int) -> None:
        self._queries.enqueue([task] * count, [None] * count, [0] * count)

    def work(self, concurrency: int) -> list[list[str]]:
        return [[sys.executable, "-m", "stress.bench.peers.pgqueuer.app"]]

    @functools.cached_property
    def _connection(self) -> psycopg.Connection:
        return psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)

    @functools.cached_property
    def _queries(self) -> SyncQueries:
        return SyncQueries(SyncPsycopgDriver(self._connection))


async def _install() -> None:
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await Queries(AsyncpgDriver(connection)).install()
    await connection.close()


def _payload(*arguments: int) -> bytes | None:
    return str(arguments[0]).encode() if arguments else None


main(PgQueuerQueue())
