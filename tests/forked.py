"""Pools that are forked by a process that has imported Django already: `tests.fork_server`.

Such a pool is a child of this process, in a session of its own, as subprocess.Popen makes it.
What differs: limits, umask and ignored signals are those of this process at the first start, and
/proc shows the environment of the server.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
from typing import IO

#: Variables that are read only by what the server does not import.
READ_LATE = ("DATABASE_URL", "DJANGO_", "PYTEST_", "STRESS_", "TASKQ_")

#: Seconds for the server to import and to fork, on a busy machine too.
PATIENCE = 120.0

_PR_SET_CHILD_SUBREAPER = 36


class Forked:
    """A module's process, with as much of subprocess.Popen as `stress.rig.pools.Pool` uses.

    words: the module and its arguments. output: for what it prints.
    """

    def __init__(self, words: list[str], environment: dict[str, str], output: IO[bytes]) -> None:
        self.words = words
        self.returncode: int | None = None
        request = {"parent": os.getpid(), "words": words, "environment": environment}
        server, _ = _server()
        # The new process is an orphan of the server's, for a moment.
        _adopt_orphans(True)
        try:
            socket.send_fds(server, [json.dumps(request).encode()], [output.fileno()])
            self.pid = int(server.recv(100))
        finally:
            _adopt_orphans(False)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, for so many seconds at most. Returns the exit code.

        Raises subprocess.TimeoutExpired.
        """
        if self.returncode is None:
            descriptor = os.pidfd_open(self.pid)
            try:
                ended, _, _ = select.select([descriptor], [], [], timeout)
            finally:
                os.close(descriptor)
            if not ended:
                raise subprocess.TimeoutExpired(self.words, timeout or 0)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def can_fork(command: list[str], environment: dict[str, str]) -> bool:
    """Whether the server can stand in for an exec of this command.

    It can for a module of this Python, unless variables differ that the interpreter and Django
    have read by then.
    """
    if sys.platform != "linux" or command[:2] != [sys.executable, "-m"]:
        return False
    return _read_early(environment) == _server()[1]


@functools.cache
def _server() -> tuple[socket.socket, dict[str, str]]:
    """The server of this process, which ends with it, and the environment that it has read."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(PATIENCE)
    environment = _read_early(dict(os.environ))
    with its:
        subprocess.Popen(
            [sys.executable, "-m", "tests.fork_server", str(its.fileno())],
            env=environment,
            stdin=subprocess.DEVNULL,
            pass_fds=[its.fileno()],
        )
    return ours, environment


def _read_early(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(READ_LATE)}


def _adopt_orphans(yes: bool) -> None:
    """Become, or no longer be, the parent of descendants whose own parent ends."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
