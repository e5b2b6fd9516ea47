"""A request that a test makes, to stand for a run."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from taskq import limits
from taskq.task import call_notes
from taskq.task.call_notes import Notes
from taskq.task.ids import TaskId
from taskq.task.options import TaskOptions
from taskq.task.request import Request

_PLAIN = ("args", "kwargs", "retries", "called_directly", "is_eager", "queue")
_KNOWN = (*_PLAIN, "id", "headers", "root_id", "parent_id")


def made(name: str, options: TaskOptions, fields: Mapping[str, Any]) -> Request:
    """A request of the task with this name. Raises TypeError for fields that it cannot have."""
    if unknown := sorted(fields.keys() - set(_KNOWN)):
        raise TypeError(f"a request has no {', '.join(unknown)} of its own; known are {_KNOWN}")
    notes = Notes()
    if fields.get("root_id") is not None:
        notes["root"] = str(fields["root_id"])
    if fields.get("parent_id") is not None:
        notes["parent"] = str(fields["parent_id"])
    headers = fields.get("headers")
    plain = {each: fields[each] for each in _PLAIN if each in fields}
    plain = {"queue": options.queue or limits.DEFAULT_QUEUE, "called_directly": True, **plain}
    return Request(
        pk=None,
        name=name,
        eager_id=TaskId(fields.get("id") or uuid.uuid4()),
        sent_headers=call_notes.added(headers, notes) if notes else headers,
        **plain,
    )
