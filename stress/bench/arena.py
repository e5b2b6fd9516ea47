"""The arena: one PostgreSQL, with a fresh database for each measurement."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

import stress
from stress.bench import redis
from stress.bench.contestants import OURS, Contestant, PeerEnvironment
from stress.bench.server_log import ServerLog
from stress.bench.stage import Stage
from stress.rig.postgres import EmbeddedPostgres

ROOT = Path(stress.__file__).parents[1]
STAGE = "stage"
#: What makes each flush take 5 ms more, for everybody who commits.
SLOW_DISK = {"commit_delay": "5000", "commit_siblings": "0"}


class Arena:
    """The servers of a run of the bench, and the databases on them.

    home: a folder for logs and other files. quick: less time for each measurement.
    """

    def __init__(
        self, home: Path, server: EmbeddedPostgres, peers: PeerEnvironment, *, quick: bool
    ) -> None:
        self.home = home
        self.server = server
        self.peers = peers
        self.quick = quick
        self.log = ServerLog(server)
        self._settings: dict[str, str] = {}
        self._taskq: dict[str, object] = {}
        self._templates: set[str] = set()
        self._filled: set[str] = set()

    @contextmanager
    def stage(
        self,
        contestant: Contestant = OURS,
        *,
        template: str = "",
        fill: Callable[[psycopg.Connection[Any]], None] | None = None,
    ) -> Iterator[Stage]:
        """A stage with empty tables for one contestant, until the end of the block.

        fill: what to do to the empty tables. template: a name under which the filled
        tables are kept for the next time.
        """
        environment = self._environment(contestant)
        with ExitStack() as stack:
            if contestant.store == "redis":
                environment["REDIS_URL"] = stack.enter_context(redis.server(self.home))
            else:
                source = self._template(contestant, template, fill)
                environment["DATABASE_URL"] = self._copy(source, STAGE)
                self._set(STAGE, self._settings)
                stack.callback(self._drop, STAGE)
            stage = Stage(contestant, environment, self.home)
            stack.callback(stage.close)
            yield stage

    @contextmanager
    def slow_disk(self) -> Iterator[None]:
        """Stages within the block have a disk whose flushes take 5 ms more."""
        self._settings = SLOW_DISK
        try:
            yield
        finally:
            self._settings = {}

    @contextmanager
    def taskq_settings(self, **settings: object) -> Iterator[None]:
        """Stages of taskq within the block have these keys of ``TASKQ``."""
        self._taskq = settings
        try:
            yield
        finally:
            self._taskq = {}

    @contextmanager
    def sqlite_stage(self) -> Iterator[Stage]:
        """A stage for taskq on SQLite, until the end of the block."""
        environment = self._environment(OURS)
        path = self.home / "stage.sqlite3"
        environment["DATABASE_URL"] = f"sqlite:///{path}"
        stage = Stage(OURS, environment, self.home)
        try:
            stage.run("prepare")
            yield stage
        finally:
            stage.close()
            for file in self.home.glob(f"{path.name}*"):
                file.unlink()

    def forget(self) -> None:
        """Drop the filled templates of a scenario, because some are large."""
        for name in self._filled:
            self._drop(name)
        self._filled.clear()

    def _environment(self, contestant: Contestant) -> dict[str, str]:
        python = sys.executable if contestant.module == OURS.module else self.peers.python
        unwanted = ("DATABASE_URL", "DJANGO_SETTINGS_MODULE", "REDIS_URL")
        kept = {key: value for key, value in os.environ.items() if key not in unwanted}
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            "BENCH_PYTHON": python,
            "BENCH_VARIANT": contestant.variant,
            "STRESS_TASKQ": json.dumps(self._taskq),
        }

    def _template(
        self,
        contestant: Contestant,
        extra: str,
        fill: Callable[[psycopg.Connection[Any]], None] | None,
    ) -> str:
        """The name of a database with the contestant's tables, made once."""
        name = contestant.module.replace(".", "_")
        if name not in self._templates:
            environment = self._environment(contestant)
            environment["DATABASE_URL"] = self.server.create_database(name)
            Stage(contestant, environment, self.home).run("prepare")
            self._settle(name)
            self._templates.add(name)
        if extra:
            base, name = name, f"{name}_{extra}"
            if name not in self._filled:
                self._copy(base, name)
                if fill is not None:
                    with psycopg.connect(self.server.url_of(name), autocommit=True) as connection:
                        fill(connection)
                self._settle(name)
                self._filled.add(name)
        return name

    def _settle(self, name: str) -> None:
        with psycopg.connect(self.server.url_of(name), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")

    def _copy(self, source: str, name: str) -> str:
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            # Copied by files, which makes a checkpoint. So all measurements begin alike.
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}" STRATEGY FILE_COPY')
        return self.server.url_of(name)

    def _set(self, name: str, settings: Mapping[str, str]) -> None:
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            for setting, value in settings.items():
                connection.execute(f'ALTER DATABASE "{name}" SET {setting} = {value}')

    def _drop(self, name: str) -> None:
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
