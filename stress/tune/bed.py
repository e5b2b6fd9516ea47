"""The test bed: an embedded PostgreSQL, a proxy that delays, and pools that use it."""

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
    """Opening it sets up Django on the database. Pools connect through the proxy."""

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
        """Start a pool whose tasks record their runs in that history.

        direct: connect without the proxy.
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
        """Wait until the keeper and this number of workers of a pool hold leases."""
        from taskq.models import Worker

        def ready() -> bool:
            if pool.process.poll() is not None:
                raise RuntimeError(f"a pool ended while it started:\n{pool.log()}")
            return Worker.objects.filter(pool__endswith=f":{pool.pid}").count() == workers + 1

        wait_until(ready, seconds=60, what=f"{workers} workers with leases, see {pool.log()}")

    def clear(self) -> None:
        """Kill all pools, and delete all tasks and leases."""
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
    """Send SIGKILL to all its processes at once, as if the host were lost."""
    if pool.process.poll() is None:
        pool.kill_all()


def _socket(url: str) -> str:
    """The Unix socket of the server, from a libpq URL."""
    (directory,) = parse_qs(urlsplit(url).query)["host"]
    return f"{directory}/.s.PGSQL.5432"
