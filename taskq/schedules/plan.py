"""The schedules that a pool sends."""

from __future__ import annotations

import mmap

from taskq.schedules.entry import Entry


class Plan:
    """The schedules that a pool sends, collected before the fork.

    ``written`` says whether a keeper of this pool has written them to the table. It outlives the
    keeper. Else a new keeper of an old pool would overwrite the schedules of a newer pool.
    """

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self._shared = mmap.mmap(-1, 1)

    @property
    def written(self) -> bool:
        return self._shared[0] != 0

    def mark_written(self) -> None:
        self._shared[0] = 1
