"""A reason why a task is not running, and the words that reasons have in common."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from enum import StrEnum

from django.utils import timezone

from taskq import printable

#: The most characters of a name or an error that a sentence quotes.
_QUOTED = 200


class Code(StrEnum):
    """What kind of reason it is, for programs."""

    # It waits
    NOT_DUE = "not_due"
    WAITS_FOR_RETRY = "waits_for_retry"
    BLOCKED = "blocked"
    UNKNOWN_NAME = "unknown_name"
    EXPIRED = "expired"
    EXPIRES_FIRST = "expires_first"
    QUEUE_PAUSED = "queue_paused"
    NO_WORKER = "no_worker"
    QUEUE_NOT_SERVED = "queue_not_served"
    BEHIND = "behind"
    WORKERS_BUSY = "workers_busy"
    LOCKED = "locked"
    JUST_DUE = "just_due"
    UNEXPLAINED = "unexplained"
    UNKNOWN_STATE = "unknown_state"
    # What else there is to know of a task that waits
    CLAIMED_ALONE = "claimed_alone"
    UNIQUE_TWIN = "unique_twin"
    # It does not wait
    RUNNING = "running"
    CLAIMED = "claimed"
    ASKED_TO_END = "asked_to_end"
    LOST = "lost"
    FAILED = "failed"
    CANCELLED = "cancelled"
    KEY_HELD = "key_held"
    DONE = "done"
    GONE = "gone"


@dataclass(frozen=True)
class Reason:
    """A reason why a task is not running, or what has become of it.

    Attributes:
        code: The kind of reason.
        text: A sentence or two for people.
        advice: What a person can do about it; empty when there is nothing to do.
        until: When this reason is expected to end; None when nobody knows.
        tasks: The primary keys of other tasks that the text names.
    """

    code: Code
    text: str
    advice: str = ""
    until: datetime.datetime | None = None
    tasks: tuple[int, ...] = ()


def quoted(text: str) -> str:
    """The first line of a text of a row, shortened."""
    line = printable.in_a_line(text.strip().partition("\n")[0])
    return line if len(line) <= _QUOTED else f"{line[: _QUOTED - 1]}…"


def moment(when: datetime.datetime) -> str:
    """A time in the current time zone."""
    try:
        return f"{timezone.localtime(when):%Y-%m-%d %H:%M:%S %Z}"
    except OverflowError:  # the year 1 or 9999, in a time zone that goes beyond it
        return f"{when:%Y-%m-%d %H:%M:%S %Z}"


def earlier(when: datetime.datetime, now: datetime.datetime) -> str:
    """How long ago a time was: ``5 min ago``."""
    return f"{span((now - when).total_seconds())} ago"


def later(when: datetime.datetime, now: datetime.datetime) -> str:
    """How far away a time is: ``in 5 min``."""
    return f"in {span((when - now).total_seconds())}"


def span(seconds: float) -> str:
    """A time span in its two largest units: ``0.4 s``, ``12 s``, ``3 min 5 s``, ``2 h 10 min``."""
    seconds = max(seconds, 0.0)
    if seconds < 10:
        return f"{seconds:.1f} s"
    units = {"days": 86_400, "h": 3_600, "min": 60, "s": 1}
    left, parts = round(seconds), []
    for unit, length in units.items():
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count:,} {'day' if count == 1 and unit == 'days' else unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def counted(count: int, one: str, many: str = "") -> str:
    """``1 task``, ``1,234 tasks``. many: the plural, where an s does not make it."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
