"""Stops processes with SIGSTOP, and always wakes them again, even if this process dies."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable

import psutil

from stress.rig.closing import Closing


class Freezer(Closing):
    """Freezes processes, and thaws them when it closes.

    A guard process holds the other end of a pipe. If this process is killed, the guard
    thaws the frozen processes and ends.
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
        """Send SIGSTOP. False if the process was gone."""
        # Tell the guard first: one thaw too many does no harm.
        os.write(self._writer, f"+{process.pid} {process.create_time()}\n".encode())
        self._frozen[process.pid] = process
        try:
            process.suspend()
        except psutil.NoSuchProcess:
            self._forget(process.pid)
            return False
        return True

    def thaw(self, process: psutil.Process) -> bool:
        """Send SIGCONT. False if the process was gone."""
        if process.pid in self._frozen:
            try:
                process.resume()
            except psutil.NoSuchProcess:
                return False
            finally:
                self._forget(process.pid)
        return True

    def close(self) -> None:
        """Thaw all frozen processes."""
        for process in list(self._frozen.values()):
            self.thaw(process)
        os.close(self._writer)
        os.waitpid(self._guard, 0)

    def _forget(self, pid: int) -> None:
        os.write(self._writer, f"-{pid}\n".encode())
        del self._frozen[pid]


def _stand_guard(reader: int, writer: int) -> None:
    """Run the guard: wait for the end of the pipe, then thaw. Never returns."""
    try:
        os.setsid()  # so that neither Ctrl-C nor the end of the terminal reaches the guard
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.close(writer)
        with open(reader, encoding="ascii") as lines:
            _thaw_all(_left_frozen(lines))
    finally:
        os._exit(0)


def _left_frozen(lines: Iterable[str]) -> dict[int, float]:
    """Pid -> creation time of each process that was frozen and not thawed."""
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
