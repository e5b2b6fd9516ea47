"""The shape of a part: what it holds, how many steps it starts and ends with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from taskq.celery.canvas.reading import checked, in_chunks, kind_of
from taskq.celery.listed import listed

#: Options that are for the end of a part, or for its id, and so not for what is in it.
OF_THE_WHOLE = frozenset(("link", "link_error", "task_id"))
#: The most characters of a title.
TITLE = 100


def flat(
    part: Mapping[str, Any], options: Mapping[str, Any]
) -> Iterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    """The parts of a group, and the options for each. A group in it is replaced by its parts."""
    for each in part["kwargs"]["tasks"]:
        each = checked(each)
        if kind_of(each) == "chunks":
            each = chunked(each)
        if kind_of(each) == "group":
            yield from flat(each, {**without(each["options"], {"link", "task_id"}), **options})
        else:
            yield each, options


def parts_in_line(part: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts of a chain, without what holds nothing. One empty group is left where there is
    nothing else: then the chain has an empty list as its value."""
    parts = [checked(each) for each in part["kwargs"]["tasks"]]
    full = [each for each in parts if not is_empty_group(each) and not is_empty_chain(each)]
    return full or [each for each in parts if is_empty_group(each)][-1:]


def chunked(part: Mapping[str, Any]) -> dict[str, Any]:
    """The group of a signature of the type ``chunks``."""
    task, its, n = (part["kwargs"][key] for key in ("task", "it", "n"))
    tasks = [
        {"task": "taskq.starmap", "kwargs": {"task": task, "it": some}, "immutable": True}
        for some in in_chunks(its, n)
    ]
    return checked({**part, "task": "celery.group", "kwargs": {"tasks": tasks}})


def entries(part: Mapping[str, Any]) -> int:
    """How many steps a part starts with."""
    part = checked(part)
    kwargs = part["kwargs"]
    match kind_of(part):
        case "chain":
            return entries(kwargs["tasks"][0]) if kwargs["tasks"] else 1
        case "group":
            return sum(map(entries, kwargs["tasks"]))
        case "chord":
            return sum(map(entries, listed(kwargs["header"])))
        case "chunks":
            return len(chunked(part)["kwargs"]["tasks"])
    return 1


def ends_of(part: Mapping[str, Any]) -> int:
    """How many steps a part ends with."""
    part = checked(part)
    kwargs = part["kwargs"]
    match kind_of(part):
        case "chain":
            return next((many for each in kwargs["tasks"][::-1] if (many := ends_of(each))), 0)
        case "group":
            return sum(map(ends_of, kwargs["tasks"]))
        case "chord":
            return ends_of(kwargs["body"])
        case "chunks":
            return entries(part)
    return 1


def title(part: Mapping[str, Any]) -> str:
    """A short text for people: the names of the tasks, without their modules and arguments."""
    part = checked(part)
    kwargs = part["kwargs"]
    match kind_of(part):
        case "chain":
            text = " | ".join(map(title, kwargs["tasks"]))
        case "group":
            text = _beside(kwargs["tasks"])
        case "chord":
            behind = kwargs.get("body")  # it may have been given later
            text = " | ".join((_beside(listed(kwargs["header"])), *map(title, listed(behind))))
        case _:
            text = part["task"].rpartition(".")[2]
    return text if len(text) <= TITLE else f"{text[: TITLE - 1]}…"


def _beside(parts: Sequence[Mapping[str, Any]]) -> str:
    counted = Counter(map(title, parts))
    words = (f"{many} of {name}" if many > 1 else name for name, many in counted.items())
    return f"({', '.join(words)})"


def is_empty_group(part: Mapping[str, Any]) -> bool:
    return kind_of(part) == "group" and not part["kwargs"]["tasks"]


def is_empty_chain(part: Mapping[str, Any]) -> bool:
    return kind_of(part) == "chain" and not part["kwargs"]["tasks"]


def without(options: Mapping[str, Any], names: frozenset[str] | set[str]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}


def with_id_of(whole: Mapping[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The options of the part that a whole ends with: its id is that of the whole, if that was
    given one."""
    id = whole.get("task_id")
    return options if id is None else {**options, "task_id": id}
