"""A ``taskq_pool`` in processes of its own: start it, read its titles, kill it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

import psutil

T = TypeVar("T")

TITLE = "taskq_pool: "
#: Seconds after which something counts as hung, even on a slow or busy machine.
GENEROUS = 60.0


class TimedOut(AssertionError):
    """The awaited condition did not become true in time."""


def wait_until(condition: Callable[[], T], *, seconds: float = GENEROUS, what: str = "") -> T:
    """Call the condition until it returns a true value, and return that.

    what: the condition in words, for the error. Raises TimedOut after so many seconds.
    """
    began = time.monotonic()
    while not (value := condition()):
        waited = time.monotonic() - began
        if waited > seconds:
            raise TimedOut(f"not within {seconds} s: {what or condition}")
        # A condition may cost milliseconds of CPU, which what is waited for needs too.
        time.sleep(min(max(0.01, waited / 20), 0.05))
    return value


class Pool:
    """One pool, with its log in a file.

    manage: the module that is the project's manage.py. prefix: the start of a command
    line that runs the command after it, such as ``nice``.
    """

    def __init__(
        self,
        manage: str,
        options: list[str],
        *,
        log: Path,
        environment: dict[str, str],
        prefix: Sequence[str] = (),
    ) -> None:
        self.log_file = log
        command = [*prefix, sys.executable, "-m", manage, "taskq_pool", *options]
        with log.open("ab") as output:
            self.process = self.start(command, environment, output)

    def start(
        self, command: list[str], environment: dict[str, str], output: BinaryIO
    ) -> subprocess.Popen[bytes]:
        """Start the supervisor, in a session of its own."""
        return subprocess.Popen(
            command,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        return self.log_file.read_text()

    def children(self, role: str = "") -> dict[str, int]:
        """The children whose name starts with ``role``: {"keeper": 12, "worker 1": 13}."""
        return {name: pid for name, (pid, _) in self.titles(role).items()}

    def titles(self, role: str = "") -> dict[str, tuple[int, str]]:
        """Name -> pid and what the child's title says it does."""
        found = {}
        for process in _children(self.pid):
            try:
                title = " ".join(process.cmdline())
            except psutil.Error:  # it died since it was listed
                continue
            if title.startswith(TITLE + role):
                name, _, detail = title.removeprefix(TITLE).partition(" [")
                found[name.strip()] = (process.pid, detail.strip().removesuffix("]"))
        return found

    def descendants(self) -> list[psutil.Process]:
        """All processes below the supervisor."""
        return _descendants(self.pid, recursive=True)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait_exit(self, *, seconds: float = GENEROUS) -> int:
        """Wait until the supervisor has ended. Returns its exit code.

        Raises subprocess.TimeoutExpired.
        """
        return self.process.wait(seconds)

    def stop(self, *, seconds: float = GENEROUS) -> int:
        """Send TERM and wait. Returns the exit code.

        Raises subprocess.TimeoutExpired.
        """
        self.process.terminate()
        return self.wait_exit(seconds=seconds)

    def kill_all(self) -> None:
        """Send SIGKILL to all processes, as if the host were lost."""
        # The supervisor first, so that it cannot replace the others.
        below = self.descendants()
        self.process.kill()
        kill_each(below)
        self.process.wait()


def kill_each(processes: Iterable[psutil.Process]) -> None:
    """Send SIGKILL to those that still run. Some end with their supervisor."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended, reaped by its parent or not."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _children(pid: int) -> list[psutil.Process]:
    """The children of a process's first thread: a supervisor has no other."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:  # no such process, or no Linux
        return _descendants(pid, recursive=False)
    found = []
    for child in listed.split():
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(int(child)))
    return found


def _descendants(pid: int, *, recursive: bool) -> list[psutil.Process]:
    """By psutil, which reads the parents of all processes of the machine."""
    try:
        return list(psutil.Process(pid).children(recursive=recursive))
    except psutil.NoSuchProcess:
        return []
