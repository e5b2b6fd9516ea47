"""What ``retry()`` changes in the call of a run: its arguments, its queue and so on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from taskq.outbox import terms
from taskq.outbox.calls import are_keywords
from taskq.task import call_notes, payload
from taskq.task.call_notes import Notes
from taskq.task.registry import Definition
from taskq.task.request import Request

#: What the columns of a call are made of.
TERMS = ("queue", "priority", "expires", "headers")
#: All that a retry may change, beside the arguments.
OPTIONS = (*TERMS, "time_limit", "soft_time_limit")


def changes(
    definition: Definition,
    request: Request,
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
    options: Mapping[str, Any],
) -> dict[str, Any] | None:
    """The new values of the row's columns, by the names of ``taskq.store.endings.CHANGES``. None
    where the call stays as it is.

    options: queue, priority, expires, headers, time_limit and soft_time_limit of the retry; None
        for what stays.

    Raises TypeError or ValueError as ``apply_async()``.
    """
    given = {name: each for name, each in options.items() if each is not None}
    same = (args is None or list(args) == request.args) and kwargs in (None, request.kwargs)
    if given.get("queue") == request.queue:
        del given["queue"]
    if same and not given:
        return None
    args = list(request.args or ()) if args is None else list(args)
    kwargs = (request.kwargs or {}) if kwargs is None else kwargs
    if not are_keywords(kwargs):
        raise TypeError(f"kwargs is {kwargs!r}: give a dict of the keyword arguments")
    if definition.options.typing:
        definition.check_call(args, kwargs)
    chosen = {name: given[name] for name in TERMS if name in given}
    columns = terms.columns(definition.options, **chosen)
    headers: Mapping[str, Any] | None = request.sent_headers
    if "headers" in given:
        headers = {**(headers or {}), **given["headers"]}
    if "time_limit" in given or "soft_time_limit" in given:
        limits = given.get("time_limit"), given.get("soft_time_limit")
        call_notes.check_limits(*limits)
        headers = call_notes.added(headers, Notes(limits=limits))
    new: dict[str, Any] = {}
    if not same or headers is not request.sent_headers:
        new["payload"] = payload.encode(args, kwargs, headers, definition.name)
    if "expires" in given:
        new |= {"expires": columns["expires"], "lifetime": columns["lifetime"]}
    return new | {name: given[name] for name in ("queue", "priority") if name in given}
