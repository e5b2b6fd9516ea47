"""The last runs of a child, in memory that outlives it."""

from typing import NamedTuple

#: Runs of one child that stand here at once.
ROOM = 256


class LastRun(NamedTuple):
    """A run that is over.

    row: that of its counters (:mod:`pool.counters`). worker: the number of the child that ran it.
    began: nanoseconds of the wall clock. ran, waited: nanoseconds that the run took, and that its
    task had waited. end: how it ended, in the child's own terms.
    """

    task: int
    attempt: int
    row: int
    worker: int
    began: int
    ran: int
    waited: int
    end: int


_RUN = len(LastRun._fields)


class LastRuns:
    """A ring of runs, which the child writes. A reader asks for the runs after a number. It gets
    those that are not overwritten yet."""

    def __init__(self, words: memoryview) -> None:
        self._words = words

    @staticmethod
    def words() -> int:
        """The number of words that a ring takes."""
        return 1 + ROOM * _RUN

    def add(self, run: LastRun) -> None:
        """Add a run (only the child does)."""
        written = self._words[0]
        at = 1 + (written % ROOM) * _RUN
        for place, word in enumerate(run, at):
            self._words[place] = word
        self._words[0] = written + 1

    @property
    def written(self) -> int:
        """How many runs the ring has ever had."""
        return int(self._words[0])

    def since(self, number: int) -> list[LastRun]:
        """The runs from this number on, counted from 0. The oldest first."""
        written = self.written
        # The child may be overwriting the very oldest in this moment.
        first = max(number, written - ROOM + 1)
        words = self._words
        found = [
            LastRun._make(words[at : at + _RUN])
            for at in (1 + (each % ROOM) * _RUN for each in range(first, written))
        ]
        return found[max(0, self.written - ROOM + 1 - first) :]
