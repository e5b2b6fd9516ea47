"""What a run has to build before its faults can be injected."""

from __future__ import annotations

from enum import Enum


class Need(Enum):
    """What must be built before the run, because a fault uses it."""

    CGROUP = "a memory limit for the pools"
    TMPFS = "a small file system for the database"
    NAMESPACE = "a network namespace for each pool"
    CONNECTIONS = "many connections"
