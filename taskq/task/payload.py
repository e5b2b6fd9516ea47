"""Arguments as text, and the text as arguments again.

The text is JSON (``taskq.task.tagged_json``). On a site that opts in it is a pickle
(``taskq.task.signed_pickle``). ``taskq.task.payload_error`` has the error of what cannot be stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from taskq import conf
from taskq.task import payload_error, signed_pickle, tagged_json
from taskq.task.payload_error import PayloadError
from taskq.task.signed_pickle import PICKLED
from taskq.task.tagged_json import TAG

__all__ = [
    "PICKLED",
    "TAG",
    "Arguments",
    "Headers",
    "PayloadError",
    "canonical",
    "decode",
    "decode_call",
    "decode_result",
    "encode",
    "encode_passed",
    "encode_result",
]

#: What a pickle is signed for: a task's call, or a task's return value.
_CALL, _RESULT = "taskq.call:", "taskq.result:"

Arguments = tuple[list[Any], dict[str, Any]]
Headers = dict[str, Any]


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
    call = _call(args, kwargs, headers)
    if settings.serializer == "pickle":
        text = signed_pickle.dumps(call, use + task)
    else:
        try:
            text = tagged_json.dumps(call)
        except tagged_json.REFUSALS as error:
            raise payload_error.by_json(args, kwargs, headers, error) from error
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
    try:
        text = tagged_json.dumps(_call(args, kwargs, None))
    except tagged_json.REFUSALS as error:
        raise payload_error.by_json(args, kwargs, None, error) from error
    return json.dumps(json.loads(text), sort_keys=True)


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
        loaded = signed_pickle.loads(text, use + task)
    else:
        try:
            loaded = tagged_json.loads(text)
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


def encode_passed(value: Any) -> str:
    """A step's return value as the text that later steps get. They read it with
    :func:`decode_result`, without a name, as they are other tasks. Raises as
    :func:`encode_result`."""
    return encode_result(value)


def decode_result(text: str, task: str = "") -> Any:
    """A task's return value. Raises PayloadError as :func:`decode`."""
    (value,), _kwargs, _headers = decode_call(text, task, _RESULT)
    return value


def _call(
    args: Sequence[Any], kwargs: Mapping[str, Any], headers: Mapping[str, Any] | None
) -> list[Any]:
    # Headers are stored with the arguments, not in a column of their own: a task without
    # headers then costs nothing extra.
    return [list(args), dict(kwargs), dict(headers)] if headers else [list(args), dict(kwargs)]
