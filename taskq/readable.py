"""Values of rows as text for people. Pickles are never loaded for it."""

from __future__ import annotations

import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from taskq import printable
from taskq.task import payload
from taskq.task.masking import MASK, is_sensitive, shown_arguments
from taskq.task.payload import PICKLED, PayloadError
from taskq.wrapped import wrapped

#: Characters of a long text that a list fetches, and characters that it shows.
FETCHED = 400
SHOWN = 80
#: Characters of a long text that a page shows.
PAGE = 100_000
#: Seconds above which a duration is shown as hours and minutes.
MANY_SECONDS = 300


def in_a_line(stored: str, name: str = "") -> str:
    """Arguments as in a call, shortened. ``stored`` may be only the start of the stored text.

    name: of the task. A value is in the text of no task.
    """
    call = None if len(stored) >= FETCHED else shown_arguments(name, stored)
    shown = _safely(stored, name) if call is None else ", ".join(call)
    return printable.in_a_line(_cut(shown, SHOWN))


def in_lines(stored: str, name: str = "") -> str:
    """Arguments as in a call, one on each line. name: as above."""
    call = None if len(stored) > PAGE else shown_arguments(name, stored, wrapped)
    return text(_safely(stored, name) if call is None else ",\n".join(call))


def headers(stored: str) -> str:
    """The headers, one on each line. An empty text when they are in a pickle."""
    if stored.startswith(PICKLED) or len(stored) > PAGE:
        return ""
    try:
        _args, _kwargs, found = payload.decode_call(stored)
        return text("\n".join(f"{name}: {wrapped(value)}" for name, value in (found or {}).items()))
    except (PayloadError, RecursionError):
        return ""


def text(long: str) -> str:
    """A text of many lines, cut to the length that a page shows."""
    return printable.in_lines(_cut(long, PAGE))


def first_line(error: str) -> str:
    return printable.in_a_line(_cut(error.strip().partition("\n")[0], SHOWN))


def moment(found: datetime.datetime) -> str:
    """A time in the current time zone, to the second."""
    return timezone.localtime(found).replace(tzinfo=None).isoformat(" ", "seconds")


def lease(left: datetime.timedelta | None) -> str:
    """The time that a lease has left. None means that the worker is gone."""
    if left is None:
        return _("gone")
    seconds = round(abs(left.total_seconds()))
    span = f"{seconds} s" if seconds <= MANY_SECONDS else str(datetime.timedelta(seconds=seconds))
    if left > datetime.timedelta():
        return _("%(span)s left") % {"span": span}
    return _("expired %(span)s ago") % {"span": span}


def _safely(stored: str, name: str) -> str:
    """The text itself. For a pickle only the word "(pickled)", and stars where a part of it must
    not be seen: the parts of a text that is cut are not known."""
    if stored.startswith(PICKLED):
        return _("(pickled)")
    return MASK if is_sensitive(name) else stored


def _cut(long: str, length: int) -> str:
    return long if len(long) <= length else f"{long[: length - 1]}…"
