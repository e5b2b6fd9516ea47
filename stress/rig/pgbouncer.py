"""A PgBouncer in transaction mode, from Debian's package."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from psycopg.conninfo import conninfo_to_dict

from stress.rig.pools import wait_until

_CONFIG = """\
[databases]
{name} = {target}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 40
"""


class Database(Protocol):
    """What is behind it."""

    @property
    def url(self) -> str:
        """The URL that leads to it directly."""

    @property
    def target(self) -> str:
        """Where a proxy connects to: a socket, or host and port."""

    def url_by(self, host: str, port: int) -> str:
        """The URL that leads to it by way of another address."""


@contextmanager
def pgbouncer(database: Database, host: str, home: Path) -> Iterator[str]:
    """Start one in front of the database on a free port of host. Yields the URL through it."""
    with socket.create_server((host, 0)) as free:
        port = free.getsockname()[1]
    config = home / "pgbouncer.ini"
    given = conninfo_to_dict(database.url)
    wanted = {key: given.get(key) for key in ("host", "port", "dbname", "user", "password")}
    wanted["user"] = wanted["user"] or "postgres"
    target = " ".join(f"{key}='{value}'" for key, value in wanted.items() if value)
    config.write_text(_CONFIG.format(name=given["dbname"], target=target, host=host, port=port))
    command = ["pgbouncer", str(config)]
    if os.geteuid() == 0:  # PgBouncer refuses to run as root
        home.chmod(0o755)
        command[1:1] = ["-u", _user(database)]
    with (home / "pgbouncer.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until(lambda: _answers(host, port), what=f"pgbouncer is up, see {home}")
        yield database.url_by(host, port)
    finally:
        process.terminate()
        process.wait(10)


def _user(database: Database) -> str:
    """A user that may use the socket of the database, if it has one.

    The directory of an embedded server is open to its owner only.
    """
    if database.target.startswith("/"):
        return Path(database.target).parent.owner()
    return "nobody"


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
