"""What a run may do to its process: one way for each trait that is put back, by its name."""

from __future__ import annotations

import asyncio
import ctypes
import decimal
import faulthandler
import gc
import io
import locale
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def lower_limit() -> None:
    """A second of CPU time from now on, for this process and all that it does later."""
    used = sum(os.times()[:2])
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + 1, hard))


def change_user() -> None:
    """There, and not back."""
    os.setegid(65534)
    os.seteuid(65534)


def hold_back() -> None:
    """One core, and that only while nobody else wants it."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def run_coroutine() -> None:
    asyncio.run(asyncio.sleep(0))


def fail_by_warnings() -> None:
    warnings.simplefilter("error")


def change_zone() -> None:
    os.environ["TZ"] = "Asia/Kathmandu"
    time.tzset()


def change_precision() -> None:
    decimal.getcontext().prec = 3
    decimal.getcontext().traps[decimal.Inexact] = True


def replace_output() -> None:
    sys.stdout = io.StringIO()


def forget_parent() -> None:
    assert ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) == 0


def leave_group() -> None:
    os.setpgid(0, os.getpgid(os.getppid()))


def replace_handlers() -> None:
    faulthandler.register(signal.SIGUSR1)
    libc = ctypes.CDLL(None)
    libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    for number in (signal.SIGTERM, signal.SIGPIPE):
        libc.signal(number, 0)


def leave_program() -> None:
    """An orphan: its parent has ended."""
    subprocess.run(["sh", "-c", "sleep 60 &"], check=True)


def lose_stacks() -> None:
    """What tasks do that use these signals, or faulthandler, for themselves."""
    faulthandler.disable()
    faulthandler.unregister(signal.SIGWINCH)
    signal.signal(signal.SIGURG, lambda number, frame: None)


MESSES: dict[str, Callable[[], object]] = {
    "limits of its resources": lower_limit,
    "user and groups": change_user,
    "timers of its CPU time": lambda: signal.setitimer(signal.ITIMER_PROF, 0.2),
    "umask": lambda: os.umask(0o007),
    "priority (nice)": lambda: os.nice(3),
    "scheduling and cores": hold_back,
    "open files": lambda: [os.dup(1) for _ in range(100_000)],
    "standard output": replace_output,
    "time zone of the C library": change_zone,
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8"),
    "event loops": run_coroutine,
    "warnings that are errors": fail_by_warnings,
    "decimal context": change_precision,
    "default time-out of sockets": lambda: socket.setdefaulttimeout(0.001),
    "logging.disable()": lambda: logging.disable(logging.CRITICAL),
    "recursion limit": lambda: sys.setrecursionlimit(150),
    "garbage collector": gc.disable,
    "dump_traceback_later()": lambda: faulthandler.dump_traceback_later(600, exit=True),
    "parent-death signal": forget_parent,
    "process group": leave_group,
    "signal handlers": replace_handlers,
    "stack file": lose_stacks,
    "programs": leave_program,
}
