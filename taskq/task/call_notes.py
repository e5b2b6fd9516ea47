"""What a single call says to its run: the id that its caller gave, its time limits, and the tasks
that it comes from.

It goes along in one header, as a dict. Nearly all calls say nothing and have no such header.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from taskq.values import check_seconds, require

#: The header's key. ``request.headers`` does not show it.
KEY = "taskq"


class Notes(TypedDict, total=False):
    """The keys of the dict. id: a text. limits: the hard and the soft time limit in seconds, None
    for the task's own. root, parent: ids of tasks."""

    id: str
    limits: tuple[float | None, float | None]
    root: str
    parent: str


def added(headers: Mapping[str, Any] | None, notes: Notes) -> dict[str, Any]:
    """The headers with these notes."""
    return {**(headers or {}), KEY: {**of(headers), **notes}}


def of(headers: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The notes among the headers; empty for none. A header that was written by hand may have any
    value: what is no dict counts as none."""
    found = (headers or {}).get(KEY)
    return found if isinstance(found, Mapping) else {}


def without(headers: Mapping[str, Any] | None) -> dict[str, Any]:
    """The headers that the caller gave."""
    return {key: value for key, value in (headers or {}).items() if key != KEY}


def limits(headers: Mapping[str, Any]) -> tuple[float | None, float | None] | None:
    """The hard and the soft time limit of the call; None where it has none, or none that is
    valid."""
    found = of(headers).get("limits")
    if not isinstance(found, (list, tuple)) or len(found) != 2:
        return None
    try:
        check_limits(*found)
    except (TypeError, ValueError):
        return None
    return found[0], found[1]


def check_limits(hard: float | None, soft: float | None) -> None:
    """Raise TypeError or ValueError for time limits that are no seconds above 0, or for a soft one
    above the hard one."""
    for name, value in (("time_limit", hard), ("soft_time_limit", soft)):
        if value is not None:
            check_seconds(name, value)
            require(value > 0, name, value, "give a number of seconds above 0")
    if hard is not None and soft is not None:
        mend = f"it must be below time_limit ({hard:g}), or equal to it"
        require(soft <= hard, "soft_time_limit", soft, mend)
