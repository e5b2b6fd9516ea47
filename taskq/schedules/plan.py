"""What a pool sends periodically."""

from __future__ import annotations

import mmap

from taskq.schedules.entries import Entry


class Plan:
    """What a pool is to send periodically; made before the fork.

    ``written`` outlives the keeper that says so: a new one of an old pool must not put its
    version back over that of a pool that started later.
    """

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self._shared = mmap.mmap(-1, 1)

    @property
    def written(self) -> bool:
        return self._shared[0] != 0

    def mark_written(self) -> None:
        self._shared[0] = 1
