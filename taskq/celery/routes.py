"""``task_routes``: which queue, priority and so on a call has by the name of its task."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from taskq.celery.listed import listed
from taskq.celery.setting_paths import imported

#: The terms of a call that a route may give. What it says of a broker is passed over.
TERMS = ("queue", "priority", "expires", "countdown", "eta", "time_limit", "soft_time_limit")

#: Finds the route of a call: of the task's name, arguments, terms, and the task. None for none.
Route = Callable[[str, Sequence[Any], Mapping[str, Any], Mapping[str, Any], Any], Any]


def prepared(routes: Any) -> list[Route]:
    """The routes of a value of ``task_routes``: a dict, a function, the path of a function, or a
    list of these.

    Raises ImproperlyConfigured for anything else.
    """
    return [_prepared(each) for each in listed(routes)]


def find(
    routes: Sequence[Route],
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    terms: Mapping[str, Any],
    task: Any,
) -> dict[str, Any]:
    """The terms that the first route gives that knows the call; empty where none does."""
    for route in routes:
        found = route(name, args, kwargs, terms, task)
        if found is not None:
            return _terms(found)
    return {}


def added(found: Mapping[str, Any], terms: Mapping[str, Any], explicit: Collection[str]) -> Any:
    """The terms of a call with those of its route. What the call or its task says wins.

    explicit: the names of terms that the task gives itself.
    """
    more = {
        name: each
        for name, each in found.items()
        if terms.get(name) is None and name not in explicit
    }
    return {**terms, **more}


def _terms(found: Any) -> dict[str, Any]:
    given = {"queue": found} if isinstance(found, str) or hasattr(found, "name") else dict(found)
    terms = {name: given[name] for name in TERMS if given.get(name) is not None}
    if "queue" in terms and not isinstance(terms["queue"], str):
        terms["queue"] = terms["queue"].name  # a Queue of kombu's
    return terms


def _prepared(given: Any) -> Route:
    if isinstance(given, Mapping):
        return _MapRoute(list(given.items()))
    if isinstance(given, (list, tuple)):
        return _MapRoute(given)
    if isinstance(given, str):
        given = imported("task_routes", given)
        if isinstance(given, type):
            given = given()
    if hasattr(given, "route_for_task"):
        router = given.route_for_task
        return lambda name, args, kwargs, terms, task: router(name, args, kwargs)
    if not callable(given):
        raise ImproperlyConfigured(
            f"task_routes has {given!r}: give a dict of names and queues, a function or its path"
        )
    function = given
    return lambda name, args, kwargs, terms, task: function(name, args, kwargs, terms, task=task)


class _MapRoute:
    """Routes by name: a name itself wins over a pattern, and of patterns the first one."""

    def __init__(self, items: Sequence[tuple[Any, Any]]) -> None:
        self._names = {name: each for name, each in items if _is_name(name)}
        self._patterns = [
            (name if isinstance(name, re.Pattern) else re.compile(fnmatch.translate(name)), each)
            for name, each in items
            if not _is_name(name)
        ]

    def __call__(self, name: str, *call: Any) -> Any:
        if name in self._names:
            return self._names[name]
        return next((each for pattern, each in self._patterns if pattern.match(name)), None)


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and "*" not in name
