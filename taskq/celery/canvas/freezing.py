"""``freeze()``: ids are given to the tasks of a signature before it is sent."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from taskq.celery.async_result import AsyncResult
from taskq.celery.canvas.reading import checked, kind_of
from taskq.celery.canvas.shapes import flat, parts_in_line
from taskq.celery.listed import listed
from taskq.celery.result_set import GroupResult
from taskq.celery.result_tree import put_behind


def frozen(part: Mapping[str, Any], id: str | None, options: Mapping[str, Any]) -> Any:
    """Give ids to the tasks of a part, in its own options, and return its result.

    id: for its last task. One that has an id keeps that.
    options: further options to be noted, as Celery does.

    Raises TypeError for a part that has no tasks yet.
    """
    part = checked(part)
    kwargs = part["kwargs"]
    match kind_of(part):
        case "chain":
            return _frozen_chain(part, id)
        case "group":
            group_id = part["options"].setdefault("task_id", id or str(uuid.uuid4()))
            return GroupResult(group_id, [frozen(each, None, {}) for each, _ in flat(part, {})])
        case "chord":
            header = [frozen(each, None, {}) for each in listed(kwargs["header"])]
            body = frozen(checked(kwargs.get("body"), "the body of a chord"), id, {})
            put_behind(GroupResult(None, header), body)
            return body
        case "chunks":
            raise TypeError("the chunks have no tasks yet: freeze their group()")
    part["options"].update((name, each) for name, each in options.items() if each is not None)
    return AsyncResult(str(part["options"].setdefault("task_id", id or str(uuid.uuid4()))))


def _frozen_chain(part: Mapping[str, Any], id: str | None) -> Any:
    tasks = parts_in_line(part)
    if not tasks:
        raise TypeError("an empty chain has no task that could have an id")
    last: Any = None
    id = id or part["options"].get("task_id")
    for index, each in enumerate(tasks):
        result = frozen(each, id if index == len(tasks) - 1 else None, {})
        put_behind(last, result)
        last = result
    part["options"]["task_id"] = last.id
    return last
