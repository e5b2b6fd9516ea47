"""What goes wrong around the supervisor of a sample pool, or is set up so: called in its
process before it runs, named as in ``--setting fork_fails``."""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable

from pool import child, kernel, last_look, log
from stress.rig.pools import GENEROUS
from tests.pool.talk import note, options, told

PR_SET_CHILD_SUBREAPER = 36


def fork_fails(times: int = 3, real: Callable[[], int] = os.fork) -> None:
    """The first forks are refused, as when there are too many processes."""
    left = times

    def fork() -> int:
        nonlocal left
        if left:
            left -= 1
            note("no fork")
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return real()

    os.fork = fork


def fork_fails_for_good() -> None:
    fork_fails(times=-1)


def parent_dies_in_fork(real: Callable[[], int] = os.fork) -> None:
    """The supervisor is gone before its child gets to run."""
    supervisor_pid = os.getpid()

    def fork() -> int:
        if pid := real():
            os.kill(supervisor_pid, signal.SIGKILL)
            return pid
        while os.getppid() == supervisor_pid:
            time.sleep(0.001)
        note("orphan")
        return 0

    os.fork = fork


def no_parent_death_signal() -> None:
    kernel.LINUX = False


def subreaper() -> None:
    """Orphans among our descendants become our children, as for PID 1."""
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def unflushed_output() -> None:
    sys.stdout.write("said once\n")


def exit_handler() -> None:
    atexit.register(note, "exit handler")


def waits_long_for_stacks() -> None:
    """On a machine where a process may not get the CPU for a while."""
    real = last_look.take
    last_look.PATIENCE = GENEROUS
    last_look.take = lambda seats, now, tick: real(seats, now, GENEROUS)


def kills_late(real: Callable[[int, int], None] = os.kill) -> None:
    """The supervisor loses the CPU just before its first SIGKILL, for as long as a
    worker takes to begin its next run."""

    def kill(pid: int, number: int) -> None:
        if number == signal.SIGKILL and not told("next"):
            (options.directory / "next").touch()
            while not told("begun again"):
                time.sleep(0.001)
        real(pid, number)

    os.kill = kill


def log_raises() -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ZeroDivisionError("a handler of the site")

    logging.getLogger().addHandler(Broken())


def signals_come_in_floods() -> None:
    """Each line of the scoreboard that is logged brings more USR1, each HUP three TTIN."""
    floods = {"slot": signal.SIGUSR1, "replacing": signal.SIGTTIN}

    class Flood(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            number = floods.get(record.getMessage().split()[0])
            if number is not None:
                for _ in range(3):
                    os.kill(os.getpid(), number)

    logging.getLogger().addHandler(Flood())


def logs_to_stderr() -> None:
    logging.getLogger().addHandler(logging.StreamHandler())
    log.PAUSE = 0.5


def no_time_for_last_lines() -> None:
    child.LAST_LINES = 0.3
