"""Signatures as the dicts that they are, however they came: from code, or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from taskq import limits

#: The keys of the dict of a signature, beside its task.
_KEYS = frozenset(("args", "kwargs", "options", "subtask_type", "immutable"))


def checked(given: Any, what: str = "a signature") -> dict[str, Any]:
    """The dict of a signature, with all its keys.

    what: for the message, the place where it was given.

    Raises TypeError for anything else.
    """
    if not isinstance(given, dict) or not isinstance(given.get("task"), str):
        raise TypeError(f"{what} is {given!r}: give a signature, such as task.s()")
    if given.keys() >= _KEYS:
        return given
    return {
        "args": (),
        "kwargs": {},
        "options": {},
        "subtask_type": None,
        "immutable": False,
        **given,
    }


#: What a part is, by the name that stands where a call has its task.
_KINDS = {
    "celery.chain": "chain",
    "celery.group": "group",
    "celery.chord": "chord",
    "taskq.chunks": "chunks",
}


def kind_of(part: Mapping[str, Any]) -> str:
    """What a signature is: "chain", "group", "chord", "chunks" or "call". A class that a site has
    derived from one of these has another ``subtask_type``, and counts as that one."""
    return _KINDS.get(part["task"], "call")


def brief(name: str, text: str) -> str:
    """A text in which the module of this task stands once, at its first place."""
    module = f"{name.rpartition('.')[0]}."
    first, found, rest = text.partition(module)
    return f"{first}{found}{rest.replace(module, '')}"


def parts_of(given: Iterable[Any], what: str) -> list[Any]:
    """The parts of a chain, a group or a header. A generator is read.

    what: for the message.

    Raises TypeError for a part that is no signature, ValueError when there are too many.
    """
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise TypeError(f"{what} is {given!r}: give signatures, such as task.s()")
    parts = given if isinstance(given, list) else list(islice(given, limits.STEPS + 1))
    if len(parts) > limits.STEPS:
        raise ValueError(
            f"{what} has more than {limits.STEPS:,} parts: give each more to do (chunks), or send "
            "the parts from a task, with delay_many()"
        )
    for index, part in enumerate(parts):
        checked(part, f"part {index} of {what}")
    return parts


def merged(
    part: Mapping[str, Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any] | None = None,
    *,
    force: bool = False,
) -> tuple[Sequence[Any], Mapping[str, Any], Mapping[str, Any]]:
    """The arguments and options of a signature, with those that were given later.

    force: with the arguments also where the signature is immutable.
    """
    all_options = {**part["options"], **options} if options else part["options"]
    if part["immutable"] and not force:
        return part["args"], part["kwargs"], all_options
    all_args = (*args, *part["args"]) if args else part["args"]
    return all_args, {**part["kwargs"], **kwargs} if kwargs else part["kwargs"], all_options


def in_chunks(calls: Sequence[Any], n: int) -> Iterator[Sequence[Any]]:
    """So many of the calls at a time."""
    for begin in range(0, len(calls), n):
        yield calls[begin : begin + n]
