"""A signature that runs here and now: eager mode, and ``apply()``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from taskq.celery import eager
from taskq.celery.canvas import calls
from taskq.celery.canvas.reading import checked, kind_of, merged
from taskq.celery.canvas.shapes import (
    OF_THE_WHOLE,
    chunked,
    flat,
    parts_in_line,
    with_id_of,
    without,
)
from taskq.celery.eager import EagerResult
from taskq.celery.listed import listed
from taskq.celery.result_set import GroupResult
from taskq.celery.result_tree import put_behind
from taskq.outbox import enqueue
from taskq.task.inputs import failed_request
from taskq.task.states import On


def run(
    part: Mapping[str, Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Any:
    """Run a signature, with arguments and options that were given later.

    Returns an EagerResult, of a group a GroupResult of such, of an empty chain None.

    Raises what a part raises that another one follows. What the last one raises is in its result.
    """
    part = checked(part)
    match kind_of(part):
        case "chain":
            return _run_chain(part, args, kwargs, options)
        case "group":
            return _run_group(part, args, kwargs, options)
        case "chunks":
            return _run_group(chunked(part), args, kwargs, options)
        case "chord":
            return _run_chord(part, args, kwargs, options)
    return _run_call(part, args, kwargs, options)


def _run_call(
    part: Mapping[str, Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    over: Mapping[str, Any],
) -> EagerResult:
    definition = calls.definition(part["task"])
    all_args, all_kwargs, options = merged(part, args, kwargs, over)
    terms = calls.terms(part, definition, options)
    row = enqueue.row(definition.name, all_args, all_kwargs, definition.options, **terms)
    result = eager.run(definition, row, using=options.get("using"), throw=options.get("throw"))
    follow(result, options)
    return result


def follow(result: EagerResult, options: Mapping[str, Any]) -> None:
    """Run what is linked to a task that has run."""
    if result.failed():
        for errback in () if result.drops(On.FAILED) else listed(options.get("link_error")):
            _tell(checked(errback, "link_error"), result)
        return
    follows = result.successful() and not result.drops(On.LINK)
    for callback in listed(options.get("link")) if follows else ():
        result.follow_by([run(checked(callback, "link"), (result.result,), {}, {})])


def _run_chain(
    part: Mapping[str, Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    over: Mapping[str, Any],
) -> Any:
    given, _, options = merged(part, args, kwargs, over)
    more = {} if part["immutable"] else kwargs
    errbacks = listed(options.get("link_error"))
    rest = without(options, OF_THE_WHOLE)
    last: Any = None
    tasks = parts_in_line(part)
    for index, each in enumerate(tasks):
        if last is not None:
            given, more = (last.get(disable_sync_subtasks=False),), {}
            rest = {name: each for name, each in rest.items() if name == "throw"}
        own = {"link_error": [*listed(each["options"].get("link_error")), *errbacks]}
        if index == len(tasks) - 1:
            rest = with_id_of(options, rest)
        result = run(each, given, more, {**rest, **own} if errbacks else rest)
        if result is None:
            continue
        put_behind(last, result)
        last = result
        if isinstance(result, EagerResult) and _ends_chain(result):
            return result  # as in Celery: what would follow does not run
    if last is not None:
        follow_whole(last, options)
    return last


def _ends_chain(result: EagerResult) -> bool:
    return result.status in ("IGNORED", "REJECTED") or result.drops(On.CHAIN)


def follow_whole(result: Any, options: Mapping[str, Any]) -> None:
    """Run the callbacks of a whole that has ended well."""
    if isinstance(result, EagerResult) and result.drops(On.LINK):
        return
    for callback in listed(options.get("link")):
        if not result.failed():
            run(checked(callback, "link"), (result.get(disable_sync_subtasks=False),), {}, {})


def _run_group(
    part: Mapping[str, Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    over: Mapping[str, Any],
) -> GroupResult:
    _, _, options = merged(part, (), {}, over)
    found = [
        run(each, (*args, *part["args"]), kwargs, more)
        for each, more in flat(part, without(options, {"link", "task_id"}))
    ]
    id = options.get("task_id") or str(uuid.uuid4())
    return GroupResult(id, [result for result in found if result is not None])


def _run_chord(
    part: Mapping[str, Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    over: Mapping[str, Any],
) -> Any:
    _, _, options = merged(part, (), {}, over)
    body, of_header, header = calls.taken_apart(part, args, kwargs)
    shared = without(options, OF_THE_WHOLE)
    first = _run_group(header, *of_header, shared)
    failed = [each for each in first.results if each.failed()]
    for of_whole in (body["options"], options) if failed else ():
        for errback in listed(of_whole.get("link_error")):
            _tell(checked(errback, "link_error"), failed[0])
    values = first.get(disable_sync_subtasks=False)
    of_body = with_id_of(options, without(shared, {"countdown", "eta"}))
    last = run(body, (values,), {}, of_body)
    put_behind(first, last)
    follow_whole(last, options)
    return last


def _tell(errback: Mapping[str, Any], failed: Any) -> None:
    """Run an errback of a task that has failed."""
    details = calls.told(errback)
    if details == ("id",):
        run(errback, (failed.id,), {}, {})
        return
    request = failed_request(
        id=failed.id,
        name=failed.name,
        queue=failed.queue,
        args=failed.args,
        kwargs=failed.kwargs,
        headers={},
        retries=failed.retries,
    )
    args, kwargs, _ = merged(errback, (request, failed.result, failed.traceback), {})
    calls.front_door(calls.definition(errback["task"]))(*args, **kwargs)
