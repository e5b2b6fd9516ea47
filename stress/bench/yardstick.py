"""What the machine itself does, measured before each row, so that two machines can be compared."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from stress.bench.arena import Arena
from stress.bench.scenarios.drain import NOOPS, RAW, full, watch

#: Of the raw loop: the rows that it gets, and the seconds after which a slow one is stopped.
ROWS, SECONDS = 40_000, 2.0
FLUSHES = 50
#: The server writes its log in pages of so many bytes.
PAGE = 8192

FDATASYNC, LOOP = "fdatasync ms", "raw loop tasks/s"


def measure(arena: Arena) -> dict[str, float]:
    """The median of the disk's ``fdatasync``, and the rate of one raw loop."""
    with full(arena, NOOPS, ROWS) as stage:
        loop = stage.start(RAW, "drain", "--rows", 50)
        rate = watch(stage, loop, ROWS, SECONDS).value
    return {FDATASYNC: _fdatasync(arena.server.home), LOOP: rate}


def _fdatasync(folder: Path) -> float:
    """Milliseconds of writing a page of a file that is there already to this folder's disk."""
    path = folder / "yardstick"
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.write(file, bytes(PAGE * FLUSHES))
        os.fsync(file)
        taken = []
        for page in range(FLUSHES):
            began = time.perf_counter()
            os.pwrite(file, os.urandom(PAGE), PAGE * page)
            os.fdatasync(file)
            taken.append(time.perf_counter() - began)
        return 1000 * statistics.median(taken)
    finally:
        os.close(file)
        path.unlink()
