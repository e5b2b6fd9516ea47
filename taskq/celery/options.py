"""Celery's options: the ones that change nothing here, and what to use in place of others.

docs/how-to/migrating/celery.md lists all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from taskq.celery import source_places
from taskq.task.options import TaskOptions

#: They have no effect: there is no broker, and a task is acknowledged when it is done.
IGNORED_BY_DECORATOR = frozenset(
    "serializer acks_late acks_on_failure_or_timeout acks_on_failure acks_on_timeout "
    "reject_on_worker_lost retry_on_worker_lost track_started compression "
    "store_errors_even_if_ignored throws trail send_events shared lazy resultrepr_maxsize "
    "exchange routing_key delivery_mode immediate mandatory abstract".split()
)
_IGNORED_BY_CALL = frozenset(
    "ignore_result add_to_parent serializer compression connection producer publisher "
    "exchange routing_key retry retry_policy shadow delivery_mode mandatory immediate reply_to "
    "route_name router result_cls task_type declare expiration message_id content_type "
    "content_encoding link link_error throw".split()
)
#: They concern a retry no more than a call; ``countdown`` and such are arguments of ``retry()``.
_IGNORED_BY_RETRY = {"task_id", "parent_id", "root_id"}
_LINKED = "what follows the task stays as it was sent"
_BY_CANVAS = "a chain, a group or a chord says it: see taskq.celery.canvas"
_PYDANTIC = "call the model's model_validate() in the task"
INSTEAD_ON_DECORATOR = {
    "rate_limit": "give the task a queue that only one pool of few workers serves",
    "backend": "results are in the database; say ignore_result=False to keep them",
    "options": "give each option by its own name",
    **dict.fromkeys(("Request", "Strategy"), "listen to the signals of runs, such as task_failure"),
    **dict.fromkeys(("pydantic", "pydantic_strict", "pydantic_context"), _PYDANTIC),
    "pydantic_dump_kwargs": _PYDANTIC,
}
INSTEAD_IN_CALL = {
    **dict.fromkeys(("chord", "group_id"), _BY_CANVAS),
    "stamped_headers": "use headers=",
    # Celery's way to keep a secret out of its log and its events.
    **dict.fromkeys(("argsrepr", "kwargsrepr"), "name the parameters by sensitive= of the task"),
}
_KNOWN_IN_CALL = (
    "args, kwargs, task_id, countdown, eta, expires, queue, priority, headers, time_limit, "
    "soft_time_limit, root_id, parent_id, using, unique_key, idempotency_key"
)
#: Those that a decorator takes.
TAKEN_BY_DECORATOR = frozenset(each.name for each in fields(TaskOptions)) | {"expires"}
_KNOWN_ON_DECORATOR = TAKEN_BY_DECORATOR | IGNORED_BY_DECORATOR | INSTEAD_ON_DECORATOR.keys()


def is_known(name: str) -> bool:
    """Whether a decorator takes this option, ignores it, or refuses it. Any other is kept as an
    attribute of the task."""
    return name in _KNOWN_ON_DECORATOR


def of_decorator(given: Mapping[str, Any]) -> dict[str, Any]:
    """The known options that a decorator or a class was given, without those that change nothing
    here. A Celery option that is None counts as not given.

    Raises TypeError that names each option that taskq lacks, and what to do instead.
    """
    _raise(_problems(given, INSTEAD_ON_DECORATOR), "shared_task")
    return {name: value for name, value in given.items() if name in TAKEN_BY_DECORATOR}


def check_call(given: Mapping[str, Any]) -> None:
    """Raise TypeError, as :func:`of_decorator`, for options of a call that taskq lacks."""
    problems = _problems(given, INSTEAD_IN_CALL)
    if unknown := sorted(given.keys() - _IGNORED_BY_CALL - INSTEAD_IN_CALL.keys()):
        names = ", ".join(unknown)
        problems.append(f"unknown apply_async option {names}; known are {_KNOWN_IN_CALL}")
    _raise(problems, "apply_async")


def check_retry(given: Mapping[str, Any]) -> None:
    """Raise TypeError, as :func:`check_call`, for options of a retry that taskq lacks."""
    _raise(_problems(given, dict.fromkeys(("link", "link_error"), _LINKED)), "retry")
    check_call({name: each for name, each in given.items() if name not in _IGNORED_BY_RETRY})


def _problems(given: Mapping[str, Any], instead: Mapping[str, str]) -> list[str]:
    return [
        f"no {name!r} here: {instead[name]}"
        for name, value in given.items()
        if value is not None and name in instead
    ]


def _raise(problems: list[str], by: str) -> None:
    if problems:
        has = [f"{by} has {each}" if each.startswith("no ") else each for each in problems]
        raise TypeError(f"{source_places.caller()}: {'; '.join(has)}")
