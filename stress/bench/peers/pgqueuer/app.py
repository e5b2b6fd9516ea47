from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job

from stress.bench import work


@asynccontextmanager
async def manager() -> AsyncIterator[PgQueuer]:
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    queue = PgQueuer(AsyncpgDriver(connection))

    @queue.entrypoint("noop")
    async def noop(job: Job) -> None:
        work.noop()

    @queue.entrypoint("nap")
    async def nap(job: Job) -> None:
        await work.async_nap()

    @queue.entrypoint("mark")
    async def mark(job: Job) -> None:
        work.mark(int(job.payload))

    @queue.entrypoint("nap_and_mark")
    async def nap_and_mark(job: Job) -> None:
        await work.async_nap_and_mark(int(job.payload))

    yield queue
    await connection.close()


async def run() -> None:
    async with manager() as queue:
        await queue.run(batch_size=int(os.environ["BENCH_VARIANT"]))


if __name__ == "__main__":
    uvloop.run(run())  # as its own command does
