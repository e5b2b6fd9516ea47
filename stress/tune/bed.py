"""The test bed: a PostgreSQL of our own, its delaying proxy, and pools that use it."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from stress.rig.closing import Closing
from stress.rig.pools import Pool, wait_until
from stress.rig.postgres import EmbeddedPostgres
from stress.rig.proxy import Proxy

MANAGE = "stress.project.manage"
SETTINGS = "stress.project.settings"


class Bed(Closing):
    """Django is set up on the database when this opens; pools come through the proxy."""

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="taskq-tune-")
        self.home = Path(self._home.name)
        self.server = EmbeddedPostgres()
        self.url = self.server.create_database("tune")
        self.proxy = Proxy(_socket(self.url))
        self.pools: list[Pool] = []
        self._numbers = itertools.count()
        os.environ.update(DATABASE_URL=self.url, DJANGO_SETTINGS_MODULE=SETTINGS)
        subprocess.run([sys.executable, "-m", MANAGE, "migrate", "-v0"], check=True)
        import django

        django.setup()

    def start_pool(self, *options: object, history: Path, direct: bool = False) -> Pool:
        """A pool whose tasks note their runs in that history.

        direct: past the proxy.
        """
        log = self.home / f"pool{next(self._numbers)}.log"
        through = f"postgresql://postgres@{self.proxy.host}:{self.proxy.port}/tune"
        environment = {
            **os.environ,
            "DATABASE_URL": self.url if direct else through,
            "TASKQ_HISTORY": str(history),
        }
        pool = Pool(MANAGE, [str(each) for each in options], log=log, environment=environment)
        self.pools.append(pool)
        return pool

    def wait_ready(self, pool: Pool, workers: int) -> None:
        """Until a pool's keeper and so many workers hold leases."""
        from taskq.models import Worker

        def ready() -> bool:
            if pool.process.poll() is not None:
                raise RuntimeError(f"a pool ended while it started:\n{pool.log()}")
            return Worker.objects.filter(pool__endswith=f":{pool.pid}").count() == workers + 1

        wait_until(ready, seconds=60, what=f"{workers} workers with leases, see {pool.log()}")

    def clear(self) -> None:
        """Kill all pools, forget all tasks and leases."""
        from taskq.models import Task, Worker

        self.proxy.forward()
        for pool in self.pools:
            lose(pool)
        self.pools.clear()
        Task.objects.all().delete()
        Worker.objects.all().delete()

    def close(self) -> None:
        from django.db import connections

        for pool in self.pools:
            lose(pool)
        connections.close_all()
        self.proxy.close()
        self.server.close()
        self._home.cleanup()


def lose(pool: Pool) -> None:
    """SIGKILL to all of its processes at once: the host is gone."""
    if pool.process.poll() is None:
        pool.kill_all()


def _socket(url: str) -> str:
    """The server's Unix socket, from a libpq URL of ours."""
    (directory,) = parse_qs(urlsplit(url).query)["host"]
    return f"{directory}/.s.PGSQL.5432"
