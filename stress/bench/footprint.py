"""What a tree of processes takes: memory and CPU, from /proc."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psutil

PROC = Path("/proc")


def proportional_memory(processes: Iterable[psutil.Process]) -> float:
    """MiB in all; a page that several of them share is counted once (PSS)."""
    return sum(_rollup(process.pid, "Pss") for process in processes) / 1024


def resident_memory(process: psutil.Process) -> float:
    """MiB that one process has mapped in, shared or not (RSS)."""
    return _rollup(process.pid, "Rss") / 1024


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """That all their threads have run, to the nanosecond: ticks are too coarse for an
    idle process."""
    return sum(
        int(thread.joinpath("schedstat").read_text().split()[0]) / 1e9
        for process in processes
        for thread in (PROC / str(process.pid) / "task").iterdir()
    )


def _rollup(pid: int, key: str) -> int:
    """KiB."""
    for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0])
    raise KeyError(f"{key} is not in smaps_rollup of {pid}")
