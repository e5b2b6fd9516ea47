"""What chaos breaks in a pool by environment variables.

STRESS_BREAK_FLAG    while this file exists, every forked process writes a line with the pid of
                     its parent into it, and dies.
STRESS_CLOCK_OFFSET  seconds by which the wall clock of this host is wrong.
STRESS_RLIMIT_AS     MiB of address space that a forked process may use.
"""

import datetime
import os
import resource
import time

from django.utils import timezone


def apply() -> None:
    """Break what the environment asks for."""
    if flag := os.environ.get("STRESS_BREAK_FLAG"):
        os.register_at_fork(after_in_child=lambda: _die_while(flag))
    if offset := os.environ.get("STRESS_CLOCK_OFFSET"):
        _shift_wall_clock(float(offset))
    if mebibytes := os.environ.get("STRESS_RLIMIT_AS"):
        limit = int(mebibytes) * 2**20
        os.register_at_fork(
            after_in_child=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        )


def _die_while(flag: str) -> None:
    try:
        file = os.open(flag, os.O_WRONLY | os.O_APPEND)
    except FileNotFoundError:
        return
    os.write(file, b"%d\n" % os.getppid())
    os._exit(os.EX_SOFTWARE)


def _shift_wall_clock(seconds: float) -> None:
    """Shift the clock for Python code. Code in C still reads the right time."""
    right_time, right_time_ns, right_now = time.time, time.time_ns, timezone.now
    time.time = lambda: right_time() + seconds
    time.time_ns = lambda: right_time_ns() + int(seconds * 1e9)
    timezone.now = lambda: right_now() + datetime.timedelta(seconds=seconds)
