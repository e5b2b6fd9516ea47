"""The ways in which a task kills its worker."""

import ctypes
import os
import resource
import signal
import sys
from typing import Any, NoReturn

from stress.project.runs import note


def die(how: str) -> NoReturn:
    """Note the death of this process, and die."""
    note("death", victim=os.getpid(), role="worker", cause="poison")
    match how:
        case "exit":
            os._exit(7)
        case "segfault":
            ctypes.string_at(0)
        case "abort":
            os.abort()
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stack":
            overflow_stack()
    raise AssertionError(f"still alive after {how!r}")


def overflow_stack() -> None:
    """Recurse in C on a small stack, less deep than the limit at which Python stops it."""
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (2**16, hard))
    sys.setrecursionlimit(10**6)
    deep: list[Any] = []
    for _ in range(2_000):
        deep = [deep]
    repr(deep)
