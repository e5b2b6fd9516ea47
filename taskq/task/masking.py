"""What is shown of the arguments that a task's option ``sensitive`` names: eight stars.

Two things are masked: the arguments of a call that are shown to a person, and text that was made
during a run, where such a value stands in it. The stored arguments stay whole: the task needs them.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from taskq.task import payload, registry
from taskq.task.payload import PICKLED, PayloadError
from taskq.task.registry import Definition

MASK = "********"
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_OTHERS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
#: The fewest characters of a value that are masked wherever they stand. A shorter value is masked
#: in quotes only: the rest of the text would be hard to read without each 5 and each "a".
SHORTEST = 4

#: A function that masks a text.
Hide = Callable[[str], str]


class _Masked:
    def __repr__(self) -> str:
        return MASK


_MASKED = _Masked()


def shown_arguments(
    name: str, stored: str, show: Callable[[object], str] = repr
) -> list[str] | None:
    """The arguments of a stored call, each as text, with sensitive ones masked.

    name: of the task. Where no task of this name is known here, nothing is masked.
    stored: the payload of its row. A pickle is never loaded for it.
    show: makes the text of a value. By default as Python writes it.

    Returns None for what cannot be shown part by part: a pickle, or a text that taskq did not
    write. Use :func:`is_sensitive` before you show that text itself.
    """
    if stored.startswith(PICKLED):
        return None
    try:
        args, kwargs = payload.decode(stored)
        definition = registry.find(name)
        if definition is not None and definition.options.sensitive:
            args, kwargs = _masked(definition, args, kwargs)
        return [*map(show, args), *(f"{each}={show(value)}" for each, value in kwargs.items())]
    except (PayloadError, RecursionError):
        return None


def is_sensitive(name: str) -> bool:
    """Whether the task of this name has arguments that must not be shown."""
    return bool(names(name))


def names(name: str) -> tuple[str, ...]:
    """The parameters of the task of this name whose values must not be shown."""
    definition = registry.find(name)
    return () if definition is None else definition.options.sensitive


def hiding(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Hide | None:
    """A function that masks the sensitive values of a call in a text. None where it has none.

    They are masked where they stand as they are, or as Python or JSON writes them. The values in
    lists and dicts are masked too, and each line of a long text. Call it before the task runs: that
    may change what it is given.
    """
    definition = registry.find(name)
    if definition is None or not definition.options.sensitive:
        return None
    hidden_args, hidden_kwargs = _masked(definition, args, kwargs)
    pairs = [
        *zip(args, hidden_args, strict=True),
        *((value, hidden_kwargs[name]) for name, value in kwargs.items()),
    ]
    try:
        found = {text for value, shown in pairs if shown is _MASKED for text in _texts(value)}
    except Exception:  # the value of a pickle may have code of its own, which raises
        return _all_of_it
    # The longest first: one value may be a part of another.
    ordered = sorted(found, key=len, reverse=True)

    def hide(text: str) -> str:
        for each in ordered:
            text = text.replace(each, MASK)
        return text

    return hide


def _all_of_it(text: str) -> str:
    return MASK


def _masked(
    definition: Definition, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The call with sensitive values replaced. A value that fits no parameter is masked too: the
    function may have changed since the call was sent."""
    hidden = definition.options.sensitive
    parameters = definition.taken.parameters
    # Behind the *args of a decorator nobody knows which parameter a value is for.
    wrapped = parameters.keys() != definition.signature.parameters.keys()
    more: dict[Any, inspect.Parameter] = {each.kind: each for each in parameters.values()}
    others, named = (more.get(kind) for kind in _OTHERS)
    places = [each.name for each in parameters.values() if each.kind in _POSITIONAL]

    def hides_place(place: int) -> bool:
        if place < len(places):
            return places[place] in hidden
        return others is None or wrapped or others.name in hidden

    def hides_name(name: str) -> bool:
        if name in hidden:
            return True
        return name not in parameters and (named is None or named.name in hidden)

    return (
        [_MASKED if hides_place(place) else value for place, value in enumerate(args)],
        {name: _MASKED if hides_name(name) else value for name, value in kwargs.items()},
    )


def _texts(value: object) -> Iterator[str]:
    """The texts by which a value may stand in an error or a line of the log."""
    match value:
        case None | bool():
            return
        case str():
            yield from (repr(value), json.dumps(value))
            bare = {value, repr(value)[1:-1], json.dumps(value)[1:-1], *value.splitlines()}
            yield from (each for each in bare if len(each.strip()) >= SHORTEST)
        case Mapping():
            for each in value.values():
                yield from _texts(each)
        case list() | tuple() | set() | frozenset():
            for each in value:
                yield from _texts(each)
        case _:
            yield from (each for each in (str(value), repr(value)) if len(each) >= SHORTEST)
