"""Many calls of one task: the form in which a caller gives them, and their stored text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from taskq.task import payload
from taskq.values import Stored

#: The positional and the keyword arguments of a call.
Arguments = tuple[Sequence[Any], Mapping[str, Any]]
#: Raises TypeError for arguments that the function does not take.
Check = Callable[[Sequence[Any], Mapping[str, Any]], object]
#: One of many calls, as a caller gives it: the positional arguments, or the keyword arguments.
Call = tuple[Any, ...] | list[Any] | Mapping[str, Any]


class Sent(NamedTuple):
    """The task that a call has led to: a new one, or an existing one that it has joined.

    written_at: when a new task was written, by the database's clock; None unless asked for.
    """

    id: int
    joined: bool
    written_at: Stored | None = None


def pairs_of(calls: Iterable[Call], check: Check | None = None) -> Iterator[Arguments]:
    """The positional and keyword arguments of each call.

    check: raises TypeError for arguments that the function does not take.

    Raises TypeError, with the index of the call, for such arguments, and for a call that is
    neither a tuple, a list nor a dict.
    """
    for index, call in enumerate(calls):
        if isinstance(call, (tuple, list)):
            pair: Arguments = call, {}
        elif are_keywords(call):
            pair = (), call
        else:
            raise TypeError(
                f"calls[{index}] is {call!r}: give a tuple of the positional arguments, "
                "such as (42,), or a dict of the keyword arguments"
            )
        if check is not None:
            try:
                check(*pair)
            except TypeError as error:
                raise TypeError(f"calls[{index}]: {error}") from error
        yield pair


def are_keywords(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def encoded(
    task: str, calls: Iterable[Arguments], headers: Mapping[str, Any] | None = None
) -> Iterator[str]:
    """The text of each call's arguments, with the headers that all calls share.

    Raises PayloadError, with the index of the call.
    """
    for index, (args, kwargs) in enumerate(calls):
        try:
            yield payload.encode(args, kwargs, headers, task)
        except payload.PayloadError as error:
            raise payload.PayloadError(f"calls[{index}]: {error}") from error
