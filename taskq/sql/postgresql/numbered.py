"""Statements in the server's form: with numbers in place of names."""

from __future__ import annotations

import functools
import re

_PLACE = re.compile(r"%\((\w+)\)s")


@functools.cache
def numbered(statement: str) -> tuple[bytes, tuple[str, ...]]:
    """A statement with $1 in place of %(name)s, and the names in their order."""
    places: list[str] = []

    def number(found: re.Match[str]) -> str:
        name = found[1]
        if name not in places:
            places.append(name)
        return f"${places.index(name) + 1}"

    text = _PLACE.sub(number, statement).replace("%%", "%")
    return text.encode(), tuple(places)
