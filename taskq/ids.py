"""A task's id as people write it."""

from __future__ import annotations

import uuid

#: Above all primary keys.
TOO_LARGE = 2**63
#: No primary key has so many digits; the UUID of one may, written without its dashes.
_DIGITS = 20


def parse(text: str) -> int:
    """The primary key: from itself, with or without ``#``, or from the UUID that
    ``AsyncResult`` shows. It may be above all that there are.

    Raises ValueError for what is neither.
    """
    number = text.removeprefix("#")
    if number.isdecimal() and len(number) < _DIGITS:
        return int(number)
    return uuid.UUID(number).int
