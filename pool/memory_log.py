"""The resident memory of a child over the last minute: a ring of samples in shared memory.

Only the supervisor writes it, and reads it when the child has died.
"""

from __future__ import annotations

from pool import clock

#: Samples that are kept: a minute of them.
ROOM = 60
#: Nanoseconds between two samples that are kept.
EVERY = clock.SECOND
_COUNT, _HEAD = 0, 1
#: Words that a ring takes.
WORDS = _HEAD + 2 * ROOM


class MemoryLog:
    """A ring of times and KiB."""

    def __init__(self, words: memoryview) -> None:
        self._words = words

    def clear(self) -> None:
        self._words[_COUNT] = 0

    def add(self, now: int, kib: int) -> None:
        """Add a sample. It replaces the newest one until that is a second after the one before."""
        count = self._words[_COUNT]
        if count > 1 and self._time(count - 1) - self._time(count - 2) < EVERY:
            count -= 1
        at = self._at(count)
        self._words[at], self._words[at + 1] = now, kib
        self._words[_COUNT] = count + 1

    def samples(self) -> list[tuple[int, int]]:
        """The times and KiB, oldest first."""
        count = self._words[_COUNT]
        places = [self._at(number) for number in range(max(0, count - ROOM), count)]
        return [(self._words[at], self._words[at + 1]) for at in places]

    def _at(self, number: int) -> int:
        return _HEAD + 2 * (number % ROOM)

    def _time(self, number: int) -> int:
        return int(self._words[self._at(number)])
