"""The runs of a child that are over and not yet recorded in the database.

They stand in shared memory, which outlives the child. When the child dies, another process reads
them there and records them. So a run that is over stays over, even if its process dies.
"""

_LEASE, _FIRST, _LAST, _SETTLED, _HEAD = range(5)
#: Runs of one child that may be over and not yet recorded.
ROOM = 1024


class FinishLog:
    """A ring of runs, each two words: task and attempt.

    Only the child adds runs and takes them out. It first writes a run and then counts it, so a
    child that dies in between has added nothing. All entries belong to the lease of the ring. A
    reader names the lease that it retires, and gets no runs of another lease. A reader may also
    record runs for a child that lives. It says in a word of its own how far it has come.
    """

    def __init__(self, words: memoryview) -> None:
        self._words = words
        self.room = (len(words) - _HEAD) // 2
        # The child's own copies: reading a word takes as long as writing it.
        self._first = self._last = 0

    @staticmethod
    def words(room: int) -> int:
        """The number of words that a ring with room for so many runs takes."""
        return _HEAD + 2 * room

    # Called by the child

    def start(self, lease: int) -> None:
        """Forget all runs. Those that are added from now on belong to this lease."""
        self._first = self._last = self._words[_LAST]
        self.clear()
        self._words[_LEASE] = lease

    def add(self, task: int, attempt: int) -> bool:
        """Add a run that is over. Returns False when there is no room.

        Call it before any other word on the scoreboard stops naming the run.
        """
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
        """Take out the oldest runs: they are recorded. Returns how many a reader may have too."""
        settled = min(max(0, self._words[_SETTLED] - self._first), count)
        self._first = self._words[_FIRST] = self._first + count
        return settled

    def take_back(self) -> None:
        """Take out the newest run, which is recorded."""
        self._last = self._words[_LAST] = self._last - 1

    def clear(self) -> None:
        self._first = self._words[_FIRST] = self._last

    # Called by the process that records runs in place of the child

    def under(self, lease: int) -> list[tuple[int, int]]:
        """The runs under this lease that are over and not recorded: task and attempt of each."""
        words = self._words
        if words[_LEASE] != lease:
            return []
        places = [_HEAD + 2 * (at % self.room) for at in range(words[_FIRST], words[_LAST])]
        return [(words[at], words[at + 1]) for at in places]

    def settle(self) -> None:
        """Say that the reader is about to record all runs that stand here."""
        self._words[_SETTLED] = self._words[_LAST]
