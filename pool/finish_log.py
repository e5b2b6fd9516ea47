"""The runs of a child that are over, and that nobody has written down yet.

They stand in memory that outlives the child: whoever buries it reads them there and
writes them in its place. So what is done stays done when the process that did it dies.
"""

_LEASE, _FIRST, _LAST, _SETTLED, _HEAD = range(5)
#: Runs that one child may have done and not written.
ROOM = 1024


class FinishLog:
    """A ring of runs, each two words: task and attempt.

    The child alone adds runs and takes them out. A run is written first and counted last,
    so a child that dies in between has added nothing. Each entry belongs to the lease of the
    ring: a reader names the lease that it ends, and sees nothing of another. Who reads for
    a child that lives says in one word of its own how far it has written what it read.
    """

    def __init__(self, words: memoryview) -> None:
        self._words = words
        self.room = (len(words) - _HEAD) // 2
        self._first = self._last = 0  # the child's own copy: a read takes as long as a write

    @staticmethod
    def words(room: int) -> int:
        """How many words a ring with room for so many runs takes."""
        return _HEAD + 2 * room

    # The child

    def start(self, lease: int) -> None:
        """From now on what is added was done under this lease. What stood here is forgotten."""
        self._first = self._last = self._words[_LAST]
        self.clear()
        self._words[_LEASE] = lease

    def add(self, task: int, attempt: int) -> bool:
        """A run is over; whether there was room for it. To be called before anything else forgets
        the run."""
        words, last = self._words, self._last
        if last - self._first >= self.room:
            return False
        at = _HEAD + 2 * (last % self.room)
        words[at] = task
        words[at + 1] = attempt
        self._last = last = last + 1
        words[_LAST] = last
        return True

    def take_out(self, count: int) -> int:
        """The oldest of them are written; how many of these a reader may have written too."""
        settled = min(max(0, self._words[_SETTLED] - self._first), count)
        self._first = self._words[_FIRST] = self._first + count
        return settled

    def take_back(self) -> None:
        """The newest of them is written."""
        self._last = self._words[_LAST] = self._last - 1

    def clear(self) -> None:
        self._first = self._words[_FIRST] = self._last

    # Who buries the child, or relieves it

    def under(self, lease: int) -> list[tuple[int, int]]:
        """What the child has done under this lease and not written: task, attempt."""
        words = self._words
        if words[_LEASE] != lease:
            return []
        places = [_HEAD + 2 * (at % self.room) for at in range(words[_FIRST], words[_LAST])]
        return [(words[at], words[at + 1]) for at in places]

    def settle(self) -> None:
        """The reader is about to write all that stands here: the child may find it written."""
        self._words[_SETTLED] = self._words[_LAST]
