"""What the processes of a pool have counted, together."""

from __future__ import annotations

from pool import Scoreboard
from taskq.task.measures import MOST_KEYS

#: Counters by the key of ``taskq.task.measures``. Under the empty key are those of many keys.
Sums = dict[bytes, list[int]]


def counted(scoreboard: Scoreboard) -> Sums:
    """What all children of a pool have counted since its start, by key."""
    sums: Sums = {}
    for slot in scoreboard.slots:
        for key, row in slot.counters.read():
            if not any(row):
                continue
            if key not in sums and len(sums) >= MOST_KEYS:
                key = b""
            before = sums.get(key)
            sums[key] = row if before is None else [a + b for a, b in zip(before, row, strict=True)]
    return sums
