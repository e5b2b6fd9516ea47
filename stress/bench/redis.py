"""A Redis server for the peers that need one. It keeps nothing on disk."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stress.rig.pools import wait_until


def available() -> bool:
    return shutil.which("redis-server") is not None


def version() -> str:
    """The version of ``redis-server``, such as 7.0.15."""
    words = ["redis-server", "--version"]
    output = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return next(word[2:] for word in output.split() if word.startswith("v="))


@contextmanager
def server(home: Path) -> Iterator[str]:
    """Run an empty server during the block. Yields its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", str(home)]
    words += ["--save", "", "--appendonly", "no"]
    with (home / "redis.log").open("ab") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        wait_until(lambda: _answers(port), what="redis-server answers")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
