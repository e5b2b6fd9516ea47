"""Arguments that are refused: the error, and the path of the value that JSON cannot carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from taskq.task import tagged_json


class PayloadError(ValueError):
    """Arguments that cannot be stored, or a stored text that cannot be read."""


def by_json(
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    headers: Mapping[str, Any] | None,
    error: BaseException,
) -> PayloadError:
    """The error that names the path of the value. error: what the encoder raised."""
    path, value = _culprit(args, kwargs, headers)
    return PayloadError(
        f"{path} is of type {type(value).__name__}, which JSON cannot carry "
        f"({error}); pass an id or plain data instead"
    )


def _culprit(
    args: Sequence[Any], kwargs: Mapping[str, Any], headers: Mapping[str, Any] | None
) -> tuple[str, Any]:
    """The path of the innermost value that cannot be encoded."""
    places = [(f"args[{index}]", value) for index, value in enumerate(args)]
    places += [(f"kwargs[{key!r}]", value) for key, value in kwargs.items()]
    places += [(f"headers[{key!r}]", value) for key, value in (headers or {}).items()]
    path, value = next(
        (place for place in places if not tagged_json.can_carry(place[1])), ("args", args)
    )
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
        deeper = next((place for place in inner if not tagged_json.can_carry(place[1])), None)
        if deeper is None:
            break
        path, value = deeper
    return path, value
