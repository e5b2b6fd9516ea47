"""Rows as people read them. Nothing is un-pickled for that."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pprint import pformat

from django.utils.text import Truncator
from django.utils.translation import gettext as _

from taskq import payload
from taskq.payload import PICKLED, PayloadError

#: Characters of a long text that a list fetches, and that it shows.
FETCHED = 400
SHOWN = 80
#: Characters of arguments that a page shows.
PAGE = 100_000
#: Seconds above which a duration is shown as hours and minutes.
MANY_SECONDS = 300


def in_a_line(stored: str) -> str:
    """Arguments as in a call, shortened. ``stored`` may be only how they begin."""
    call = None if len(stored) >= FETCHED else _call(stored, repr)
    return Truncator(_safely(stored) if call is None else ", ".join(call)).chars(SHOWN)


def in_lines(stored: str) -> str:
    """Arguments as in a call, one a line."""
    call = None if len(stored) > PAGE else _call(stored, _wrapped)
    return Truncator(_safely(stored) if call is None else ",\n".join(call)).chars(PAGE)


def headers(stored: str) -> str:
    """The headers, one a line; nothing for those in a pickle."""
    if stored.startswith(PICKLED) or len(stored) > PAGE:
        return ""
    try:
        _args, _kwargs, found = payload.decode_call(stored)
    except (PayloadError, RecursionError):
        return ""
    return "\n".join(f"{name}: {_wrapped(value)}" for name, value in (found or {}).items())


def first_line(error: str) -> str:
    return Truncator(error.strip().partition("\n")[0]).chars(SHOWN)


def lease(left: datetime.timedelta | None) -> str:
    """The time that a lease has left. None: there is no such worker any more."""
    if left is None:
        return _("gone")
    seconds = round(abs(left.total_seconds()))
    span = f"{seconds} s" if seconds <= MANY_SECONDS else str(datetime.timedelta(seconds=seconds))
    if left > datetime.timedelta():
        return _("%(span)s left") % {"span": span}
    return _("expired %(span)s ago") % {"span": span}


def _call(stored: str, show: Callable[[object], str]) -> list[str] | None:
    """Each argument; None for what is pickled, or is not of our making."""
    if stored.startswith(PICKLED):
        return None
    try:
        args, kwargs = payload.decode(stored)
        named = (f"{name}={show(value)}" for name, value in kwargs.items())
        return [*map(show, args), *named]
    except (PayloadError, RecursionError):
        return None


def _safely(stored: str) -> str:
    """The text itself, but of a pickle only that it is one."""
    return _("(pickled)") if stored.startswith(PICKLED) else stored


def _wrapped(value: object) -> str:
    return pformat(value, width=100, sort_dicts=False)
