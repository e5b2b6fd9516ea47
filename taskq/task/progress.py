"""How far a run is, as it says by ``set_progress()``."""

from __future__ import annotations

import json
from dataclasses import dataclass

#: The largest number that a word of the scoreboard holds.
_MOST = 2**63 - 1


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total``, in the task's own unit. total is 0 when it is not known."""

    done: int
    total: int = 0

    @classmethod
    def checked(cls, done: object, total: object) -> Progress:
        """The progress. Raises TypeError or ValueError when a number is wrong."""
        return cls(_count("done", done), 0 if total is None else _count("total", total))

    @property
    def percent(self) -> int | None:
        """Percent, rounded down; None when the total is not known."""
        return 100 * self.done // self.total if self.total else None

    def stored(self, attempt: int) -> str:
        """The text for the row. It names the attempt, so that no later run shows it."""
        return json.dumps({"attempt": attempt, "done": self.done, "total": self.total})

    @classmethod
    def read(cls, stored: str | None, attempt: int) -> Progress | None:
        """The progress of this attempt from a row's text; None when it is an earlier one's."""
        if stored is None:
            return None
        try:
            found = json.loads(stored)
            mine = found["attempt"] == attempt
            return cls.checked(found["done"], found["total"]) if mine else None
        except (ValueError, TypeError, LookupError, RecursionError):
            return None  # the column was written by hand

    def __str__(self) -> str:
        of = f" of {self.total} ({self.percent} %)" if self.total else ""
        return f"{self.done}{of}"


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}: give a whole number, such as rows or percents")
    if not 0 <= value <= _MOST:
        raise ValueError(f"{name} is {value!r}: give a whole number from 0 to {_MOST}")
    return value
