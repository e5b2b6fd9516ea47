"""What a record of the history is, and lines of time in seconds and nanoseconds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pool.clock import SECOND

Record = dict[str, Any]

#: Later than any record.
NEVER = math.inf


@dataclass(frozen=True, order=True)
class Span:
    """From a moment to another, in nanoseconds of the boot-time clock; the end may be NEVER."""

    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return (self.ended - self.began) / SECOND

    def meets(self, other: Span) -> bool:
        return self.began <= other.ended and other.began <= self.ended

    def longer(self, seconds: float) -> Span:
        """The same, ending so much later."""
        return Span(self.began, self.ended + seconds * SECOND)

    def without(self, holes: Iterable[Span]) -> list[Span]:
        """The parts of it that lie outside of these."""
        left, began = [], self.began
        for hole in sorted(holes):
            if hole.ended <= began or hole.began >= self.ended:
                continue
            if hole.began > began:
                left.append(Span(began, hole.began))
            began = hole.ended
        if began <= self.ended:
            left.append(Span(began, self.ended))
        return left

    def common(self, other: Span) -> Span | None:
        """The time that is in both. A span of no length must lie inside the other: if one ends just
        as the other begins, they have nothing in common."""
        began, ended = max(self.began, other.began), min(self.ended, other.ended)
        inside = began == ended and (
            self.began < began < self.ended or other.began < began < other.ended
        )
        return Span(began, ended) if began < ended or inside else None


def in_order(records: Iterable[Record]) -> list[Record]:
    """Sorted by time. Records of one moment stay in the order in which they were written."""
    return sorted(records, key=lambda record: int(record["at"]))


def keys_of(record: Record) -> list[str]:
    """The tasks that a record is about."""
    return [str(key) for key in record["keys"]] if "keys" in record else [str(record["key"])]


def seconds(nanoseconds: float) -> float:
    return nanoseconds / SECOND
