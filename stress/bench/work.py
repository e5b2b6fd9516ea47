"""What every queue runs here: the same work, whoever calls it.

Imported in the peers' processes too, so it needs nothing but the standard library.
BENCH_COUNTER and BENCH_STARTS name the files that it writes.
"""

from __future__ import annotations

import asyncio
import functools
import os
import struct
import time
from pathlib import Path

from stress.bench.counter import Counter

#: Seconds that the task with something to do takes. It sleeps: it waits for others, as
#: most tasks do.
NAP = 0.005
#: The same of the longer one.
LONG_NAP = 0.05
_RECORD = struct.Struct("=qq")


def noop() -> None:
    """Nothing, and be counted."""
    _counter().add()


def nap() -> None:
    """5 ms of waiting."""
    time.sleep(NAP)
    _counter().add()


def long_nap() -> None:
    """50 ms of waiting."""
    time.sleep(LONG_NAP)
    _counter().add()


async def async_nap() -> None:
    """The same for a queue whose tasks are coroutines."""
    await asyncio.sleep(NAP)
    _counter().add()


def echo(text: str) -> str:
    """Return the argument."""
    _counter().add()
    return text


def fail() -> None:
    """Be counted, and fail."""
    _counter().add()
    raise ValueError("as always")


def mark(number: int) -> None:
    """Note when this task started."""
    os.write(_starts(), _RECORD.pack(number, now()))
    _counter().add()


def nap_and_mark(number: int) -> None:
    """The same, by a task that then takes 5 ms."""
    mark(number)
    time.sleep(NAP)


async def async_nap_and_mark(number: int) -> None:
    mark(number)
    await asyncio.sleep(NAP)


def now() -> int:
    """Nanoseconds of the clock that all processes share."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def starts(path: Path) -> dict[int, int]:
    """When each marked task started, from the file that BENCH_STARTS named."""
    data = path.read_bytes()
    whole = len(data) - len(data) % _RECORD.size
    return dict(_RECORD.iter_unpack(data[:whole]))


@functools.cache
def _counter() -> Counter:
    return Counter(os.environ["BENCH_COUNTER"])


@functools.cache
def _starts() -> int:
    return os.open(os.environ["BENCH_STARTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
