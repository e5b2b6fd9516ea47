"""The database of a run: an embedded PostgreSQL server, a URL, or a SQLite file."""

from __future__ import annotations

import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator, Set
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from stress.chaos.needs import Need
from stress.chaos.options import Options
from stress.rig.pools import wait_until
from stress.rig.postgres import EmbeddedPostgres
from stress.rig.tmpfs import mount_tmpfs, unmount

#: MiB of the file system for a database whose disk a fault fills.
SMALL = 512


class Database:
    """The database, as an operator reaches it.

    url: the direct one, for Django. server: the embedded server, or None.
    """

    def __init__(self, url: str, server: EmbeddedPostgres | None) -> None:
        self.url = url
        self.sqlite = url.startswith("sqlite")
        self._server = server

    @property
    def server(self) -> EmbeddedPostgres:
        assert self._server is not None, "a fault that needs our own server must say so"
        return self._server

    @property
    def target(self) -> str:
        """The address that a proxy connects to."""
        if self._server is not None:
            return self._server.socket
        given = conninfo_to_dict(self.url)
        host, port = str(given.get("host", "localhost")), given.get("port", 5432)
        return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else f"{host}:{port}"

    def url_by(self, host: str, port: int) -> str:
        """The same database at another address."""
        given = conninfo_to_dict(self.url)
        user, password = (quote(str(given.get(key) or "")) for key in ("user", "password"))
        secret = f":{password}" if password else ""
        # It saves two round trips for each connection, which count on a slow network.
        query = "sslmode=disable&gssencmode=disable" if self._server is not None else ""
        name = quote(str(given["dbname"]))
        return f"postgresql://{user}{secret}@{host}:{port}/{name}?{query}"

    def execute(self, statement: str) -> None:
        """Run and commit one statement. Tries again while the database is away."""

        def done() -> bool:
            try:
                if self.sqlite:
                    with closing(sqlite3.connect(self._file, timeout=20)) as file, file:
                        file.execute(statement)
                else:
                    with self.connect() as session:
                        session.execute(statement.encode())
            except (psycopg.OperationalError, sqlite3.OperationalError):
                return False
            return True

        wait_until(done, seconds=30, what="a statement of the harness")

    def deadlocks(self) -> int:
        """How many deadlocks the server has counted or logged."""
        if self.sqlite:
            return 0
        with self.connect() as session:
            row = session.execute(
                "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
            ).fetchone()
        counted = int(row[0]) if row else 0
        # A crash of the server resets the counter, but not the log.
        logged = self._server.log().count("deadlock detected") if self._server else 0
        return max(counted, logged)

    @contextmanager
    def long_transaction(self) -> Iterator[None]:
        """Keep a transaction open that has read the tasks."""
        look = "SELECT count(*) FROM taskq_task"
        try:
            if self.sqlite:
                with closing(sqlite3.connect(self._file, timeout=20)) as file:
                    file.execute("BEGIN")
                    file.execute(look)
                    yield
            else:
                with self.connect() as session:
                    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
                    session.execute(look)
                    yield
        except psycopg.OperationalError:
            pass  # another fault took the database, and the transaction with it

    def start_again(self) -> None:
        """Start the embedded server until it stays up, as a service manager would."""

        def up() -> bool:
            try:
                self.server.start()
                self.connect().close()
            except (subprocess.SubprocessError, psycopg.Error, AssertionError, ValueError):
                return False
            return True

        wait_until(up, seconds=30, what="the database server is up again")

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A session of the harness. By its name the faults leave it alone."""
        return psycopg.connect(
            self.url, autocommit=True, application_name="chaos", connect_timeout=5
        )

    @property
    def _file(self) -> str:
        return self.url.removeprefix("sqlite:///")


@contextmanager
def open_database(options: Options, needs: Set[Need]) -> Iterator[Database]:
    """The database that the options name, ready for ``migrate``."""
    if not options.own_server:
        yield Database(options.database_url, None)
        return
    settings = {"max_wal_size": "'128MB'", "min_wal_size": "'32MB'", "log_lock_waits": "on"}
    if Need.CONNECTIONS in needs:
        settings["max_connections"] = "500"
    with (
        _home(Need.TMPFS in needs) as home,
        EmbeddedPostgres(home=home, settings=settings) as server,
    ):
        yield Database(server.create_database("chaos"), server)


@contextmanager
def _home(small: bool) -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="taskq-pg-"))
    if not small:
        yield home  # the server removes it
        return
    mount_tmpfs(home, SMALL)
    try:
        yield home
    finally:
        unmount(home)
        home.rmdir()
