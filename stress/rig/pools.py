"""A ``taskq_pool`` in processes of its own: started, watched by its titles, killed."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import psutil

T = TypeVar("T")

TITLE = "taskq_pool: "
#: Seconds that something may take on a machine that is slow or busy, before it counts as hung.
GENEROUS = 60.0


class TimedOut(AssertionError):
    """What was waited for did not happen in time."""


def wait_until(condition: Callable[[], T], *, seconds: float = GENEROUS, what: str = "") -> T:
    """Wait for a true value and return it.

    Raises TimedOut after so many seconds.
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

    manage: the module that is the project's manage.py. prefix: a command that becomes
    the one given to it, such as ``nice``.
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
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-m", manage, "taskq_pool", *options],
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
        for process in _descendants(self.pid, recursive=False):
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

    def stop(self, *, seconds: float = GENEROUS) -> int:
        """TERM; the exit code.

        Raises subprocess.TimeoutExpired.
        """
        self.process.terminate()
        return self.process.wait(seconds)

    def kill_all(self) -> None:
        """SIGKILL to everything, as when the host goes."""
        # The supervisor first: it must not replace what is killed after it.
        below = self.descendants()
        self.process.kill()
        kill_each(below)
        self.process.wait()


def kill_each(processes: Iterable[psutil.Process]) -> None:
    """SIGKILL to those that are still there: some go with their supervisor."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended, reaped by its parent or not."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _descendants(pid: int, *, recursive: bool) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=recursive))
    except psutil.NoSuchProcess:
        return []
