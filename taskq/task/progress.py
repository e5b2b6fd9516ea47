"""How far a run is, as it said by ``set_progress()``."""

from __future__ import annotations

import json
from dataclasses import dataclass

#: What a word of the scoreboard holds.
_MOST = 2**63 - 1


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total``, in whatever the task counts; total is 0 when it is not known."""

    done: int
    total: int = 0

    @classmethod
    def checked(cls, done: object, total: object) -> Progress:
        """Raises TypeError or ValueError for what no progress can be."""
        return cls(_count("done", done), 0 if total is None else _count("total", total))

    @property
    def percent(self) -> int | None:
        """Whole percents; None when the total is not known."""
        return 100 * self.done // self.total if self.total else None

    def stored(self, attempt: int) -> str:
        """As the row has it, with the run that it is of."""
        return json.dumps({"attempt": attempt, "done": self.done, "total": self.total})

    @classmethod
    def read(cls, stored: str | None, attempt: int) -> Progress | None:
        """What a row has of this run; None for what an earlier one said."""
        if stored is None:
            return None
        try:
            found = json.loads(stored)
            mine = found["attempt"] == attempt
            return cls.checked(found["done"], found["total"]) if mine else None
        except (ValueError, TypeError, LookupError, RecursionError):
            return None  # somebody wrote the column by hand

    def __str__(self) -> str:
        of = f" of {self.total} ({self.percent} %)" if self.total else ""
        return f"{self.done}{of}"


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}: give a whole number, such as rows or percents")
    if not 0 <= value <= _MOST:
        raise ValueError(f"{name} is {value!r}: give a whole number from 0 to {_MOST}")
    return value
