"""Stopping processes with SIGSTOP, and waking all of them again, whatever happens to us."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable

import psutil

from stress.rig.closing import Closing


class Freezer(Closing):
    """What is frozen in it is thawed when it closes.

    A guard, forked when it opens, holds the other end of a pipe: should this process
    be killed, the guard thaws what was frozen and ends.
    """

    def __init__(self) -> None:
        self._frozen: dict[int, psutil.Process] = {}
        reader, self._writer = os.pipe()
        self._guard = os.fork()
        if self._guard == 0:
            _stand_guard(reader, self._writer)
        os.close(reader)

    @property
    def frozen(self) -> set[int]:
        return set(self._frozen)

    def freeze(self, process: psutil.Process) -> bool:
        """SIGSTOP; whether it was still there."""
        # Said first: a thaw too many harms nobody.
        os.write(self._writer, f"+{process.pid} {process.create_time()}\n".encode())
        self._frozen[process.pid] = process
        try:
            process.suspend()
        except psutil.NoSuchProcess:
            self._forget(process.pid)
            return False
        return True

    def thaw(self, process: psutil.Process) -> bool:
        """SIGCONT; whether it was still there."""
        if process.pid in self._frozen:
            try:
                process.resume()
            except psutil.NoSuchProcess:
                return False
            finally:
                self._forget(process.pid)
        return True

    def close(self) -> None:
        """Thaw all that is frozen."""
        for process in list(self._frozen.values()):
            self.thaw(process)
        os.close(self._writer)
        os.waitpid(self._guard, 0)

    def _forget(self, pid: int) -> None:
        os.write(self._writer, f"-{pid}\n".encode())
        del self._frozen[pid]


def _stand_guard(reader: int, writer: int) -> None:
    """In the guard: wait for the end of the pipe, then thaw. Never returns."""
    try:
        os.setsid()  # a Ctrl-C, or the end of the terminal, is not for us
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.close(writer)
        with open(reader, encoding="ascii") as lines:
            _thaw_all(_left_frozen(lines))
    finally:
        os._exit(0)


def _left_frozen(lines: Iterable[str]) -> dict[int, float]:
    """Pid -> creation time of what was frozen and not thawed."""
    frozen: dict[int, float] = {}
    for line in lines:
        pid, _, born = line[1:].partition(" ")
        if line.startswith("+"):
            frozen[int(pid)] = float(born)
        else:
            frozen.pop(int(pid), None)
    return frozen


def _thaw_all(frozen: dict[int, float]) -> None:
    for pid, born in frozen.items():
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            if process.create_time() == born:
                process.resume()
