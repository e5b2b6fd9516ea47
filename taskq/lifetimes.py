"""Lifetimes as people write them: "7 days", a timedelta, or seconds."""

from __future__ import annotations

import datetime
import re

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_WRITTEN = re.compile(rf"\s*(\d{{1,9}})\s*({'|'.join(_UNITS)})s?\s*")

#: The longest lifetime, in seconds. Finished tasks have a partition for each day, and a query
#: without a day locks all of them.
LONGEST = 366 * 86_400
#: What a lifetime may be, for error messages.
FORMS = (
    'a text such as "7 days" or "12 hours" (seconds, minutes, hours, days or weeks), a '
    "timedelta or a number of seconds, above 0 and up to 366 days"
)


def seconds_of(value: object) -> float:
    """The seconds of a lifetime. Raises ValueError for anything that is none."""
    if isinstance(value, str):
        written = _WRITTEN.fullmatch(value)
        seconds: float = int(written[1]) * _UNITS[written[2]] if written else 0
    elif isinstance(value, datetime.timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value
    else:
        seconds = 0
    if not 0 < seconds <= LONGEST:  # NaN is not in it either
        raise ValueError(f"give {FORMS}")
    return float(seconds)
