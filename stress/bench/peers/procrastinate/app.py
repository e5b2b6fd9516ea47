from __future__ import annotations

import os

from procrastinate import App, PsycopgConnector

from stress.bench import work

app = App(connector=PsycopgConnector(conninfo=os.environ.get("DATABASE_URL", "")))


@app.task(name="noop")
async def noop() -> None:
    work.noop()


@app.task(name="nap")
async def nap() -> None:
    await work.async_nap()


@app.task(name="mark")
async def mark(number: int) -> None:
    work.mark(number)


@app.task(name="nap_and_mark")
async def nap_and_mark(number: int) -> None:
    await work.async_nap_and_mark(number)


tasks = {"noop": noop, "nap": nap, "mark": mark, "nap_and_mark": nap_and_mark}
