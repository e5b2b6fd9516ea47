"""JSON by Django's encoder, with a tag for the types that JSON lacks: a date comes back as a date.

JSON has no tuples and no other keys than str: a tuple comes back as a list, and the keys of a dict
as str. A time zone comes back as its offset.
"""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from taskq import shortcuts
from taskq.task.placeholders import FailureInput, Input, InputList

TAG = "$taskq"
#: What :func:`dumps` raises for a value that JSON cannot carry.
REFUSALS = (TypeError, ValueError, OverflowError, RecursionError)


class _Encoder(DjangoJSONEncoder):
    """Django's encoder, with tags for types that JSON lacks. It turns lazy strings into text."""

    def default(self, value: Any) -> Any:
        for kind, (name, write, _) in _KEPT.items():
            if isinstance(value, kind):
                return {TAG: name, "value": write(value)}
        return super().default(value)


def _seconds(value: datetime.timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _time(value: datetime.time) -> str:
    if value.tzinfo is not None and value.utcoffset() is None:
        raise ValueError("its offset from UTC is another one on other days")
    return value.isoformat()


# datetime before date, because a datetime is a date too.
_KEPT: dict[type, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = {
    datetime.datetime: ("datetime", datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    datetime.date: ("date", datetime.date.isoformat, datetime.date.fromisoformat),
    datetime.time: ("time", _time, datetime.time.fromisoformat),
    datetime.timedelta: ("timedelta", _seconds, lambda parts: datetime.timedelta(*parts)),
    Decimal: ("decimal", str, Decimal),
    uuid.UUID: ("uuid", str, uuid.UUID),
    Input: ("input", lambda each: each.place, Input),
    InputList: ("inputs", lambda each: [each.first, each.count], lambda parts: InputList(*parts)),
    FailureInput: (
        "failure",
        lambda each: [each.place, each.what],
        lambda parts: FailureInput(*parts),
    ),
}
_READERS: dict[str, Callable[[Any], Any]] = {
    "dict": dict,  # a caller's dict with a key that looks like our tag
    **{name: read for name, _, read in _KEPT.values()},
}


_encoder = _Encoder(separators=(",", ":"))
_dumps = by_c(_encoder) if (by_c := shortcuts.json_dumps()) else _encoder.encode


def dumps(value: Any) -> str:
    """The value as ASCII text. Raises one of ``REFUSALS``."""
    text = _dumps(value)
    if TAG in text and _holds_tag(value):
        text = _dumps(_escape(value))
    return text


def can_carry(value: Any) -> bool:
    """Whether :func:`dumps` takes the value."""
    try:
        _dumps(value)
    except REFUSALS:
        return False
    return True


def _untag(found: dict[str, Any]) -> Any:
    tag = found.get(TAG)
    if tag is None:
        return found
    try:
        return _READERS[tag](found["value"])
    except Exception as error:  # anybody may have written the row, with any value in it
        raise ValueError(f"the value tagged {tag!r} cannot be read ({error})") from error


_PLAIN = json.JSONDecoder()
_TAGGED = json.JSONDecoder(object_hook=_untag)


def loads(text: str) -> Any:
    """The value in a text.

    Raises ValueError or RecursionError for a text that is not JSON, or has a tag that cannot be
    read.
    """
    # The object hook costs a call for each dict, and most payloads need none.
    if TAG in text:
        return _TAGGED.decode(text)
    # Looking for white space around the text takes as long as the rest, and ours has none.
    if text.startswith("["):
        loaded, end = _PLAIN.raw_decode(text)
        if end == len(text):
            return loaded
    return _PLAIN.decode(text)


def _holds_tag(value: Any) -> bool:
    """Whether a caller's dict has a key that looks like our tag."""
    if isinstance(value, dict):
        return TAG in value or any(map(_holds_tag, value.values()))
    return isinstance(value, (list, tuple)) and any(map(_holds_tag, value))


def _escape(value: Any) -> Any:
    if isinstance(value, dict):
        inner = {key: _escape(each) for key, each in value.items()}
        return {TAG: "dict", "value": list(inner.items())} if TAG in value else inner
    return [_escape(each) for each in value] if isinstance(value, (list, tuple)) else value
