"""``python -m tests.facts END``: say as JSON what a process sees of itself, and end as told."""

from __future__ import annotations

import atexit
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

LIMITS = [value for name, value in vars(resource).items() if name.startswith("RLIMIT_")]

ENDS: dict[str, Callable[[], object]] = {
    "returns": lambda: None,
    "exits": lambda: sys.exit(3),
    "exits with text": lambda: sys.exit("text"),
    "raises": lambda: {}["missing"],
    "is killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "sleeps": lambda: time.sleep(600),
    "is interrupted": lambda: signal.raise_signal(signal.SIGINT),
}


def facts() -> dict[str, Any]:
    return {
        "module": __name__,
        "words": sys.argv,
        "environment": dict(os.environ),
        "environment of a program": subprocess.check_output(["env", "-0"], text=True).split("\0"),
        "directory": os.getcwd(),
        "import path": sys.path,
        "flags": list(sys.flags),
        "parent": os.getppid(),
        "leads": [os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()],
        "files": open_files(),
        "output": [[each.line_buffering, each.write_through] for each in (sys.stdout, sys.stderr)],
        "signals": [str(signal.getsignal(each)) for each in signal.valid_signals()],
        "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "limits": [resource.getrlimit(kind) for kind in LIMITS],
    }


def open_files() -> dict[str, str]:
    found = {}
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of the list
            found[number] = os.readlink(f"/proc/self/fd/{number}")
    return found


if __name__ == "__main__":
    atexit.register(print, "the end")
    print(json.dumps(facts()))
    ENDS[sys.argv[1]]()
