"""Celery's options: the ones that change nothing here, and what to use in place of others.

docs/how-to/migrating/celery.md lists all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskq.task.request import Request

#: They have no effect: there is no broker, and a task is acknowledged when it is done.
_IGNORED_BY_DECORATOR = frozenset(
    "serializer acks_late acks_on_failure_or_timeout acks_on_failure acks_on_timeout "
    "reject_on_worker_lost "
    "track_started compression store_errors_even_if_ignored throws trail "
    "send_events shared lazy".split()
)
_IGNORED_BY_CALL = frozenset(
    "ignore_result add_to_parent serializer compression connection producer publisher "
    "exchange routing_key retry retry_policy shadow delivery_mode mandatory immediate "
    "link link_error".split()
)
_SIGNALS = "listen to taskq.signals"
_NO_BROKER = "there is no broker; queue= says where it waits"
_BY_CANVAS = "a chain, a group or a chord says it: see taskq.celery.canvas"
_PYDANTIC = "call the model's model_validate() in the task"
_INSTEAD_ON_DECORATOR = {
    "rate_limit": "give the task a queue that only one pool of few workers serves",
    "base": f"a task is a function; {_SIGNALS}",
    "backend": "results are in the database; say ignore_result=False to keep them",
    "expires": "say it at the call: apply_async(expires=...)",
    **dict.fromkeys(("exchange", "routing_key", "delivery_mode", "immediate"), _NO_BROKER),
    "mandatory": _NO_BROKER,
    **dict.fromkeys(("before_start", "on_success", "on_retry", "on_failure"), _SIGNALS),
    "after_return": _SIGNALS,
    **dict.fromkeys(("pydantic", "pydantic_strict", "pydantic_context"), _PYDANTIC),
    "pydantic_dump_kwargs": _PYDANTIC,
}
_INSTEAD_IN_CALL = {
    "task_id": "idempotency_key= makes a second send the first one's task; ids are the rows'",
    **dict.fromkeys(("time_limit", "soft_time_limit"), "say it on the decorator"),
    **dict.fromkeys(("chord", "group_id", "root_id", "parent_id", "reply_to"), _BY_CANVAS),
    "stamped_headers": "use headers=",
    # Celery's way to keep a secret out of its log and its events.
    **dict.fromkeys(("argsrepr", "kwargsrepr"), "name the parameters by sensitive= of the task"),
}
_KNOWN_IN_CALL = (
    "args, kwargs, countdown, eta, expires, queue, priority, headers, using, unique_key, "
    "idempotency_key"
)


def of_decorator(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a decorator was given, without those that change nothing here. A Celery
    option that is None counts as not given.

    Raises TypeError for a Celery option that taskq lacks; the message says what to do instead.
    """
    _refuse(given, _INSTEAD_ON_DECORATOR, "shared_task")
    passed_over = _IGNORED_BY_DECORATOR | _INSTEAD_ON_DECORATOR.keys()
    return {name: value for name, value in given.items() if name not in passed_over}


def check_call(given: Mapping[str, Any]) -> None:
    """Raise TypeError, as :func:`of_decorator`, for an option of a call that taskq lacks."""
    _refuse(given, _INSTEAD_IN_CALL, "apply_async")
    unknown = sorted(given.keys() - _IGNORED_BY_CALL - _INSTEAD_IN_CALL.keys())
    if unknown:
        raise TypeError(
            f"unknown apply_async option {', '.join(unknown)}; known are {_KNOWN_IN_CALL}"
        )


def check_retry(given: Mapping[str, Any], request: Request) -> None:
    """Raise TypeError when these options of a retry would change the call."""
    same = {
        "args": list(request.args or ()),
        "kwargs": request.kwargs,
        "queue": request.queue,
    }
    for name in sorted(given.keys() - _IGNORED_BY_CALL):
        value = list(given[name]) if isinstance(given[name], tuple) else given[name]
        if value is not None and (name not in same or value != same[name]):
            raise TypeError(
                f"retry has no {name!r} here: it runs the same call again, with the arguments, "
                "queue and priority that it has; send another call by apply_async()"
            )


def _refuse(given: Mapping[str, Any], instead: Mapping[str, str], by: str) -> None:
    for name, value in given.items():
        if value is not None and name in instead:
            raise TypeError(f"{by} has no {name!r} here: {instead[name]}")
