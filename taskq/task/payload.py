"""Arguments as text, and the text as arguments again.

The text is JSON by Django's encoder. A tag marks the types that JSON lacks, so a date comes back
as a date. JSON has no tuples and no other keys than str: a tuple comes back as a list, and the
keys of a dict as str. A time zone comes back as its offset.

Pickle is for sites that opt in. A pickle is signed with the site's key, for the name of its task.
So write access to the table is not enough to get a pickle loaded, or to run a task with the
arguments of another one.
"""

from __future__ import annotations

import base64
import datetime
import json
import pickle
import uuid
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.core import signing
from django.core.serializers.json import DjangoJSONEncoder

from taskq import conf, shortcuts

TAG = "$taskq"
PICKLED = "pickle:"
#: What a pickle is signed for: a task's call, or a task's return value.
_CALL, _RESULT = "taskq.call:", "taskq.result:"

Arguments = tuple[list[Any], dict[str, Any]]
Headers = dict[str, Any]


class PayloadError(ValueError):
    """Arguments that cannot be stored, or a stored text that cannot be read."""


def encode(
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    headers: Mapping[str, Any] | None = None,
    task: str = "",
    use: str = _CALL,
) -> str:
    """Arguments, and headers if there are any, as the text to store.

    task: the task's name. A pickle is signed for it, and only this task can read the pickle.
    use: ``_CALL`` or ``_RESULT``; a pickle is signed for that too.

    Raises PayloadError. It names the path of the argument that cannot be encoded, or the size
    when that is above ``MAX_PAYLOAD``.
    """
    settings = conf.settings()
    if settings.serializer == "pickle":
        text = _pickle(args, kwargs, headers, use + task)
    else:
        text = _to_json(args, kwargs, headers)
    if len(text) > settings.max_payload:  # the text is ASCII: characters are bytes
        what = "arguments and headers" if headers else "arguments"
        raise PayloadError(
            f"the {what} take {len(text)} bytes, more than TASKQ['MAX_PAYLOAD'] "
            f"({settings.max_payload}); store the data in a model and pass its id"
        )
    return text


def canonical(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Arguments as a text that is the same for the same arguments, in every process.

    Raises PayloadError, naming the path of the argument that JSON cannot carry. This holds
    where pickles are allowed too, because equal values can have different pickles.
    """
    return json.dumps(json.loads(_to_json(args, kwargs)), sort_keys=True)


def decode(text: str, task: str = "") -> Arguments:
    """The arguments in a stored text. Raises PayloadError as :func:`decode_call`."""
    args, kwargs, _ = decode_call(text, task)
    return args, kwargs


def decode_call(
    text: str, task: str = "", use: str = _CALL
) -> tuple[list[Any], dict[str, Any], Headers | None]:
    """The arguments and the headers in a stored text; the headers are None when it has none.

    task, use: what the text was encoded for.

    Raises PayloadError for a text that :func:`encode` did not write: broken JSON, a wrong shape,
    a pickle with a bad signature, or a pickle on a site that does not accept pickles.
    """
    if text.startswith(PICKLED):
        loaded = _unpickle(text, use + task)
    else:
        try:
            loaded = _from_json(text)
        except (ValueError, RecursionError) as error:
            raise PayloadError(f"the stored arguments are not JSON: {error}") from error
    if isinstance(loaded, list) and len(loaded) == 2:
        args, kwargs = loaded
        if isinstance(args, list) and isinstance(kwargs, dict):
            return args, kwargs, None
    elif isinstance(loaded, list) and len(loaded) == 3:
        args, kwargs, headers = loaded
        if isinstance(args, list) and isinstance(kwargs, dict) and isinstance(headers, dict):
            return args, kwargs, headers
    raise PayloadError("the stored arguments are not of the form [[…], {…}] or [[…], {…}, {…}]")


def encode_result(value: Any, task: str = "") -> str:
    """A task's return value as the text to store: the one argument of a call.

    Raises TypeError for a value that cannot be encoded, as Django's own backends do, and
    PayloadError for one that is too large.
    """
    try:
        return encode([value], {}, None, task, _RESULT)
    except PayloadError as error:
        said = str(error).replace("args[0]", "result", 1)
        said = said.replace("arguments take", "result takes", 1).replace("arguments", "result", 1)
        text = f"what it returned, here called result, cannot be kept: {said}"
        if error.__cause__ is None:
            raise PayloadError(text) from error
        raise TypeError(f"Unsupported type: {text}") from error.__cause__


def decode_result(text: str, task: str = "") -> Any:
    """A task's return value. Raises PayloadError as :func:`decode`."""
    (value,), _kwargs, _headers = decode_call(text, task, _RESULT)
    return value


# JSON


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
}
_READERS: dict[str, Callable[[Any], Any]] = {
    "dict": dict,  # a caller's dict with a key that looks like our tag
    **{name: read for name, _, read in _KEPT.values()},
}


_encoder = _Encoder(separators=(",", ":"))
_dumps = by_c(_encoder) if (by_c := shortcuts.json_dumps()) else _encoder.encode


def _call(
    args: Sequence[Any], kwargs: Mapping[str, Any], headers: Mapping[str, Any] | None
) -> list[Any]:
    # Headers are stored with the arguments, not in a column of their own: a task without
    # headers then costs nothing extra.
    return [list(args), dict(kwargs), dict(headers)] if headers else [list(args), dict(kwargs)]


def _to_json(
    args: Sequence[Any], kwargs: Mapping[str, Any], headers: Mapping[str, Any] | None = None
) -> str:
    call = _call(args, kwargs, headers)
    try:
        text = _dumps(call)
        if TAG in text and _holds_tag(call):
            text = _dumps(_escape(call))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        path, value = _culprit(args, kwargs, headers)
        raise PayloadError(
            f"{path} is of type {type(value).__name__}, which JSON cannot carry "
            f"({error}); pass an id or plain data instead"
        ) from error
    return text


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


def _from_json(text: str) -> Any:
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


def _culprit(
    args: Sequence[Any], kwargs: Mapping[str, Any], headers: Mapping[str, Any] | None = None
) -> tuple[str, Any]:
    """The path of the innermost value that cannot be encoded."""
    places = [(f"args[{index}]", value) for index, value in enumerate(args)]
    places += [(f"kwargs[{key!r}]", value) for key, value in kwargs.items()]
    places += [(f"headers[{key!r}]", value) for key, value in (headers or {}).items()]
    path, value = next((place for place in places if not _encodable(place[1])), ("args", args))
    seen: set[int] = set()
    while id(value) not in seen and len(seen) < 100:  # a value that contains itself has no end
        seen.add(id(value))
        match value:
            case dict():
                inner = [(f"{path}[{key!r}]", each) for key, each in value.items()]
            case list() | tuple():
                inner = [(f"{path}[{index}]", each) for index, each in enumerate(value)]
            case _:
                break
        deeper = next((place for place in inner if not _encodable(place[1])), None)
        if deeper is None:
            break
        path, value = deeper
    return path, value


def _encodable(value: Any) -> bool:
    try:
        _dumps(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return False
    return True


# Pickle


def _pickle(
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    headers: Mapping[str, Any] | None,
    signed_for: str,
) -> str:
    try:
        body = pickle.dumps(_call(args, kwargs, headers))
    except Exception as error:  # pickling runs the value's own code, which may raise anything
        raise PayloadError(f"the arguments cannot be pickled: {error}") from error
    return PICKLED + signing.Signer(salt=signed_for).sign(base64.b64encode(body).decode("ascii"))


def _unpickle(text: str, signed_for: str) -> Any:
    if conf.settings().serializer != "pickle":
        raise PayloadError(
            "the stored arguments are pickled, and TASKQ['SERIALIZER'] is not 'pickle'"
        )
    try:
        body = signing.Signer(salt=signed_for).unsign(text.removeprefix(PICKLED))
    except signing.BadSignature as error:
        raise PayloadError(
            "the signature of the stored arguments is wrong: somebody else wrote them, they are of "
            "a task of another name, or SECRET_KEY changed (keep the old one in "
            "SECRET_KEY_FALLBACKS)"
        ) from error
    try:
        return pickle.loads(base64.b64decode(body))
    except Exception as error:  # loading a pickle runs the value's own code
        raise PayloadError(f"the stored arguments cannot be un-pickled: {error}") from error
