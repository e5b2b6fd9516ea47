"""A signature that is sent: as one task, as a group of tasks, or as a workflow."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connections, router, transaction

from taskq import lazy_models
from taskq.celery import eager
from taskq.celery.async_result import AsyncResult
from taskq.celery.canvas import calls, running
from taskq.celery.canvas.nodes import Branch, Results
from taskq.celery.canvas.planning import Given, Planner
from taskq.celery.canvas.reading import checked, kind_of, merged
from taskq.celery.canvas.shapes import flat, title, without
from taskq.celery.listed import listed
from taskq.celery.result_set import GroupResult
from taskq.celery.signals import before_task_publish
from taskq.outbox import enqueue, given_ids
from taskq.outbox.calls import Arguments
from taskq.outbox.terms import Terms
from taskq.task.registry import Definition
from taskq.workflow.sending import SentGraph
from taskq.workflow.sending import send as send_graph


def send(
    given: Mapping[str, Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    is_made: bool = False,
) -> Any:
    """Send a signature, with arguments and options that were given later; as
    ``Signature.apply_async``.

    is_made: an own ``apply_async()`` of its task has made the call already.
    """
    part = checked(given)
    if is_plain(part, options) or (not is_made and _sends_itself(part)):
        return _send_call(part, args, kwargs, options)
    if eager.is_on():
        return running.run(part, args, kwargs, options)
    using = options.get("using") or part["options"].get("using")
    # A receiver reads the id before there is a row, of whose number it would be made.
    heard = bool(before_task_publish.receivers)
    if kind_of(part) in ("group", "chunks"):
        members = list(flat({"kwargs": {"tasks": [part]}}, options))
        alike = all(_is_alike(each, more) for each, more in members)
        if alike and not heard:
            return _send_group(part, members, args, kwargs, options, using)
    planner = Planner(gives_ids=heard, made=part if is_made else None)
    planned = planner.plan(part, Given(tuple(args), dict(kwargs)), options)
    if planned is None:
        return None
    planner.graph.name = title(part)
    sent = _send_graph(planner, using)
    node = planned.node
    if isinstance(node, Branch) and len(node.members) == 1 and isinstance(node.members[0], Branch):
        (node,) = node.members  # as in Celery, for a group of one chain that ends with a group
    return Results(sent.ids, using).of(node)


def _send_graph(planner: Planner, using: str | None) -> SentGraph:
    """Send the graph, and note which of its tasks has which id of its caller."""
    if not planner.given:
        return send_graph(planner.graph, using)
    alias = using or router.db_for_write(lazy_models.Task)
    with transaction.atomic(alias):
        sent = send_graph(planner.graph, alias)
        given = {id: sent.ids[step.index] for id, step in planner.given.items()}
        given_ids.note(connections[alias], given)
    return sent


def _is_alike(part: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    """Whether it can be sent by one statement with others: its call says no id of its own."""
    has_id = any(each.get("task_id") is not None for each in (part["options"], options))
    return is_plain(part, options) and not has_id and not _sends_itself(part)


def _sends_itself(part: Mapping[str, Any]) -> bool:
    return kind_of(part) == "call" and calls.sends_itself(calls.definition(part["task"]))


def is_plain(part: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    """Whether it is one task, with nothing that follows."""
    _, _, all_options = merged(part, (), {}, options)
    linked = any(listed(all_options.get(name)) for name in ("link", "link_error"))
    return not linked and kind_of(part) == "call"


class _Call(NamedTuple):
    """A task of a group."""

    definition: Definition
    terms: Terms
    arguments: Arguments


def _send_call(
    part: Mapping[str, Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Any:
    """Send one task, by its own ``apply_async()``."""
    definition = calls.definition(part["task"])
    all_args, all_kwargs, all_options = merged(part, args, kwargs, options)
    if part["task"] in calls.MAPS:
        all_options = {**all_options, **calls.terms(part, definition, all_options)}
    known = without(all_options, calls.OF_WORKFLOWS)
    return calls.front_door(definition).apply_async(all_args, all_kwargs, **known)


def _send_group(
    part: Mapping[str, Any],
    members: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    using: str | None,
) -> GroupResult:
    """Send tasks without anything between them: all or none. Those of the same name and terms are
    one statement."""
    alike: dict[tuple[str, str], list[tuple[int, _Call]]] = {}
    for index, (member, over) in enumerate(members):
        call = _call(member, index, (*args, *part["args"]), kwargs, over)
        alike.setdefault((call.definition.name, repr(call.terms)), []).append((index, call))
    results: dict[int, AsyncResult] = {}
    with transaction.atomic(using or router.db_for_write(lazy_models.Task), savepoint=False):
        for some in alike.values():
            _, (definition, terms, _) = some[0]
            pairs = [call.arguments for _, call in some]
            ids, _ = enqueue.enqueue_many(
                definition.name, pairs, definition.options, using=using, **terms
            )
            places = (index for index, _ in some)
            results.update(
                (index, AsyncResult.of(id, using)) for index, id in zip(places, ids, strict=True)
            )
    id = options.get("task_id") or part["options"].get("task_id") or str(uuid.uuid4())
    return GroupResult(id, [results[index] for index in range(len(members))])


def _call(
    member: Mapping[str, Any],
    index: int,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    over: Mapping[str, Any],
) -> _Call:
    definition = calls.definition(member["task"])
    all_args, all_kwargs, options = merged(member, args, kwargs, over)
    if definition.options.typing:
        try:
            definition.check_call(all_args, all_kwargs)
        except TypeError as error:
            raise TypeError(f"part {index} of the group: {error}") from error
    return _Call(definition, calls.terms(member, definition, options), (all_args, all_kwargs))
