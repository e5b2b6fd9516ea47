"""Which options of a task are in force: what its class, its decorator and the settings say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from taskq.celery import apps, called_function, signal_bridge, task_hooks
from taskq.celery import options as celery_options
from taskq.celery.end_hooks import EndHooks
from taskq.task import registry
from taskq.task.options import task_options

#: The terms of a call, with those that its task or a route adds: of its arguments and its terms.
TermsOf = Callable[[Sequence[Any], Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]


def settle(task: Any) -> None:
    """Give a task its options and register it. Called again when something has changed.

    Raises TypeError or ValueError for options that are wrong or refused.
    """
    given = {name: _value(task, each) for name, each in task._declared.items()}
    given |= task._given
    app = task._app or apps.if_any()
    if app is not None and (configured := app.settings_of(task)):
        more = {n: v for n, v in configured.annotations.items() if celery_options.is_known(n)}
        given = {**configured.defaults, **given, **more}
        rest = configured.annotations.keys() - more.keys()
        task_hooks.give(task, {name: configured.annotations[name] for name in rest})
    if app is not None and not app.strict_typing:
        given = {"typing": False, **given}
    given = celery_options.of_decorator(given)
    expires = given.pop("expires", None)
    options = task_options({**given, "bind": task._bind})
    router = app.router(task, given.keys()) if app is not None else None
    task.terms_of = _terms_of(expires, router)
    task.options = options
    function = called_function.surrounded(task)
    ends = any(task_hooks.has(task, name) for name in task_hooks.AFTER)
    hooks = partial(EndHooks, task) if ends else None
    if ends:
        signal_bridge.tell_of_losses()
    task._definition = registry.Definition(task.name, function, options, bound=task, hooks=hooks)
    registry.register(task._definition)


def _value(task: Any, declared: Any) -> Any:
    return declared.__get__(task) if isinstance(declared, property) else declared


def _terms_of(expires: Any, router: TermsOf | None) -> TermsOf | None:
    if expires is None:
        return router

    def terms(
        args: Sequence[Any], kwargs: Mapping[str, Any], given: Mapping[str, Any]
    ) -> dict[str, Any]:
        found = {**given} if router is None else router(args, kwargs, given)
        if found.get("expires") is None:
            found["expires"] = expires
        return found

    return terms
