"""One call of a canvas: its task, its options as those of a step, and what an errback is told."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, cast

from taskq.celery import options as celery_options
from taskq.celery import own_sending
from taskq.celery.canvas.reading import checked
from taskq.celery.listed import listed
from taskq.outbox import given_ids
from taskq.outbox.terms import Terms
from taskq.task import call_notes, registry
from taskq.task.call_notes import Notes
from taskq.task.placeholders import FailureDetail
from taskq.task.registry import Definition

#: What Celery notes in the options of the parts of a workflow. The rows know it here.
OF_WORKFLOWS = frozenset(
    "group_id group_index reply_to chord route_name replaced_task_nesting".split()
)
#: What a signature may say beside the terms, and what is settled elsewhere.
_SETTLED = frozenset(("link", "link_error", "using")) | OF_WORKFLOWS
#: What the call says to its run.
_NOTED = frozenset("task_id root_id parent_id time_limit soft_time_limit".split())
#: The tasks that call another task many times.
MAPS = ("taskq.map", "taskq.starmap")


def definition(name: str) -> Definition:
    """The task of this name. Raises ValueError when none is registered."""
    found = registry.find(name)
    if found is None:
        raise ValueError(
            f"no task is registered by the name {name!r}: a step is a task that this process "
            "knows, so import its module first"
        )
    return found


def sends_itself(definition: Definition) -> bool:
    """Whether its task has an ``apply_async()`` of its own: see :mod:`taskq.celery.own_sending`."""
    return own_sending.is_there(definition.bound)


def made(
    definition: Definition,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
) -> tuple[Sequence[Any], Mapping[str, Any], Mapping[str, Any]]:
    """The arguments and options of a step, as its task would send them."""
    if not sends_itself(definition):
        return args, kwargs, options
    return own_sending.ask(definition.bound, args, kwargs, options)


def front_door(definition: Definition) -> Any:
    """The object whose ``apply_async()`` sends the task.

    Raises TypeError for a task of another front door, such as Django's.
    """
    if not hasattr(definition.bound, "apply_async"):
        raise TypeError(f"{definition.name} is no shared_task: send it by its own enqueue()")
    return definition.bound


def terms(part: Mapping[str, Any], definition: Definition, options: Mapping[str, Any]) -> Terms:
    """The terms of a step.

    Raises TypeError for an option that is unknown or refused, or that a step cannot have.
    """
    found: Terms = {}
    rest: dict[str, Any] = {}
    for name, value in options.items():
        if name in Terms.__annotations__:
            found[name] = value  # type: ignore[literal-required]
        elif name in ("unique_key", "idempotency_key"):
            if value is not None:
                raise TypeError(f"{name} of {part['task']}: a step of a workflow cannot have one")
        elif name not in _SETTLED and name not in _NOTED:
            rest[name] = value
    celery_options.check_call(rest)
    if notes := _notes(options):
        found["headers"] = call_notes.added(found.get("headers"), notes)
    mapped = part["kwargs"].get("task") if part["task"] in MAPS else None
    if mapped is not None and (known := registry.find(mapped["task"])) is not None:
        found.setdefault("queue", known.options.queue)
        found.setdefault("priority", known.options.priority)
    if (more := getattr(definition.bound, "terms_of", None)) is not None:
        return cast(Terms, more(part["args"], part["kwargs"], found))
    return found


def _notes(options: Mapping[str, Any]) -> Notes:
    notes = Notes()
    if options.get("task_id") is not None:
        notes["id"] = given_ids.check(options["task_id"])
    if options.get("root_id") is not None:
        notes["root"] = str(options["root_id"])
    if options.get("parent_id") is not None:
        notes["parent"] = str(options["parent_id"])
    hard, soft = options.get("time_limit"), options.get("soft_time_limit")
    if hard is not None or soft is not None:
        call_notes.check_limits(hard, soft)
        notes["limits"] = hard, soft
    return notes


def told(errback: Mapping[str, Any]) -> tuple[FailureDetail, ...]:
    """What an errback is told, as in Celery.

    If it takes three more arguments: the request, the error and the traceback. Else, and if it is
    bound or a workflow: the id of the task.
    """
    found = registry.find(errback["task"])
    if found is None or found.options.bind or _takes(found, errback) < 3:
        return ("id",)
    return "request", "error", "traceback"


def _takes(definition: Definition, errback: Mapping[str, Any]) -> float:
    """How many positional arguments it takes beside those that it has."""
    parameters = definition.taken.parameters.values()
    if any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters):
        return float("inf")
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [each.name for each in parameters if each.kind in positional]
    if errback["immutable"]:
        return len(names)
    return len([name for name in names if name not in errback["kwargs"]]) - len(errback["args"])


def taken_apart(
    part: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[tuple[Any, ...], dict[str, Any]], dict[str, Any]]:
    """The body of a chord, the arguments of its header, and its header as a group.

    args, kwargs: given later. A body is among the latter.

    Raises TypeError when there is no body.
    """
    more = {**part["kwargs"].get("kwargs", {}), **kwargs}
    body = more.pop("body", None) or part["kwargs"].get("body")
    if body is None:
        raise TypeError("a chord has no body: give one, as chord(header)(body)")
    first = tuple(part["args"]) if part["immutable"] else (*args, *part["args"])
    header = {"tasks": listed(part["kwargs"]["header"])}
    group = checked({"task": "celery.group", "kwargs": header})
    return checked(body, "the body of a chord"), (first, more), group
