"""The machine and the versions behind the figures."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import psycopg

import taskq
from stress.bench import redis
from stress.rig.postgres import EmbeddedPostgres

DURABLE = ("fsync", "synchronous_commit", "full_page_writes")


class NotDurable(RuntimeError):
    """The server does not flush its commits, so its figures would mean nothing."""


def describe(server: EmbeddedPostgres, peers: dict[str, str]) -> dict[str, str]:
    """The machine and the versions, by name.

    Raises NotDurable.
    """
    with psycopg.connect(server.url) as connection:
        durable = {name: _show(connection, name) for name in DURABLE}
        if set(durable.values()) != {"on"}:
            raise NotDurable(f"{durable}: all of them must be on")
        postgresql = _show(connection, "server_version")
    memory = psutil.virtual_memory().total / 2**30
    return {
        "machine": f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "PostgreSQL": f"{postgresql}, defaults; {', '.join(DURABLE)} are on",
        "Django": version("django"),
        "psycopg": version("psycopg"),
        "taskq": taskq.__version__,
        **({"Redis": redis.version()} if redis.available() else {}),
        **peers,
    }


def _show(connection: psycopg.Connection[Any], name: str) -> str:
    row = connection.execute(f"SHOW {name}").fetchone()
    assert row is not None
    return str(row[0])


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
