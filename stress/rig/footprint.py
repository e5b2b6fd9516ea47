"""The memory and the CPU time that processes take."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psutil


def proportional_memory(processes: Iterable[psutil.Process]) -> float:
    """MiB of all of them. A page that several processes share is counted once (PSS)."""
    return sum(process.memory_full_info().pss for process in processes) / 2**20


def resident_memory(process: psutil.Process) -> float:
    """MiB that one process has mapped in, shared or not (RSS)."""
    return process.memory_info().rss / 2**20


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """The CPU time of all their threads, to the nanosecond. Linux only."""
    # psutil counts in ticks of 10 ms, which is too coarse for an idle process.
    return sum(
        int(Path(f"/proc/{process.pid}/task/{thread.id}/schedstat").read_text().split()[0]) / 1e9
        for process in processes
        for thread in process.threads()
    )
