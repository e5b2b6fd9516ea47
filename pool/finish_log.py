"""The runs of a child that are over and not yet recorded in the database.

They stand in shared memory, which outlives the child. When the child dies, another process reads
them there and records them. So a run that is over stays over, even if its process dies.
"""

from typing import NamedTuple

_LEASE, _FIRST, _LAST, _SETTLED, _HEAD = range(5)
_ENTRY = 4  # words
#: Runs of one child that may be over and not yet recorded.
ROOM = 1024
#: Bytes that these runs may have brought, all together.
BYTES = 256 * 1024


class Logged(NamedTuple):
    """A run that is over. data: what is to be recorded of it."""

    task: int
    attempt: int
    data: bytes


class FinishLog:
    """A ring of runs, each four words: task, attempt, and where its data begins and how long it is.
    The data is in a ring of bytes, in the same order.

    Only the child adds runs and takes them out. It first writes a run and then counts it, so a
    child that dies in between has added nothing. All entries belong to the lease of the ring. A
    reader names the lease that it retires, and gets no runs of another lease. A reader may also
    record runs for a child that lives. It says in a word of its own how far it has come.
    """

    def __init__(self, words: memoryview, data: memoryview) -> None:
        self._words = words
        self._data = data
        self._size = len(data)
        self.room = (len(words) - _HEAD) // _ENTRY
        # The child's own copies: reading a word takes as long as writing it.
        self._first = self._last = 0
        # Where the data of the first run begins, and where that of the next one will.
        self._begin = self._end = 0

    @staticmethod
    def words(room: int) -> int:
        """The number of words that a ring with room for so many runs takes."""
        return _HEAD + _ENTRY * room

    # Called by the child

    def start(self, lease: int) -> None:
        """Forget all runs. Those that are added from now on belong to this lease."""
        self._first = self._last = self._words[_LAST]
        self.clear()
        self._words[_LEASE] = lease

    def add(self, task: int, attempt: int, data: bytes = b"") -> bool:
        """Add a run that is over. Returns False when there is no room.

        Call it before any other word on the scoreboard stops naming the run.
        """
        words, last, length = self._words, self._last, len(data)
        if last - self._first >= self.room:
            return False
        at = _HEAD + _ENTRY * (last % self.room)
        if length:
            if self._end + length - self._begin > self._size:
                return False
            self._write(data)
            words[at + 2] = self._end
            self._end += length
        words[at] = task
        words[at + 1] = attempt
        words[at + 3] = length
        self._last = last = last + 1
        words[_LAST] = last
        return True

    def take_out(self, count: int) -> int:
        """Take out the oldest runs: they are recorded. Returns how many a reader may have too."""
        words, first = self._words, self._first
        settled = min(max(0, words[_SETTLED] - first), count)
        if first + count == self._last:
            self._begin = self._end
        elif self._begin != self._end:
            self._begin += sum(self._lengths(first, first + count))
        self._first = words[_FIRST] = first + count
        return settled

    @property
    def newest_is_settled(self) -> bool:
        """Whether a reader may have recorded the newest run."""
        return self._words[_SETTLED] >= self._last

    def take_back(self) -> bool:
        """Take out the newest run, which is recorded. False if a reader may have recorded it: then
        it stays, and is taken out with the others. What comes next must not get its place, or it
        would count as recorded."""
        if self.newest_is_settled:
            return False
        self._last -= 1
        self._end -= sum(self._lengths(self._last, self._last + 1))
        self._words[_LAST] = self._last
        return True

    def clear(self) -> None:
        self._begin = self._end
        self._first = self._words[_FIRST] = self._last

    # Called by the process that records runs in place of the child

    def under(self, lease: int) -> list[Logged]:
        """The runs under this lease that are over and not recorded."""
        words = self._words
        if words[_LEASE] != lease:
            return []
        found = []
        for run in range(words[_FIRST], words[_LAST]):
            at = _HEAD + _ENTRY * (run % self.room)
            task, attempt, begin, length = words[at : at + _ENTRY]
            found.append(Logged(task, attempt, self._read(begin, length)))
        return found

    def settle(self) -> None:
        """Say that the reader is about to record all runs that stand here."""
        self._words[_SETTLED] = self._words[_LAST]

    # The ring of bytes

    def _lengths(self, first: int, last: int) -> list[int]:
        return [self._words[_HEAD + _ENTRY * (run % self.room) + 3] for run in range(first, last)]

    def _write(self, data: bytes) -> None:
        at = self._end % self._size
        until_the_edge = self._size - at
        if len(data) <= until_the_edge:
            self._data[at : at + len(data)] = data
            return
        self._data[at:] = data[:until_the_edge]
        self._data[: len(data) - until_the_edge] = data[until_the_edge:]

    def _read(self, begin: int, length: int) -> bytes:
        at = begin % self._size
        found = bytes(self._data[at : at + length])
        return found + bytes(self._data[: length - len(found)])
