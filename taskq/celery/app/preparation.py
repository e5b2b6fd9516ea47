"""What the settings of an app mean for its tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.core.exceptions import ImproperlyConfigured

from taskq.celery import annotating, apps, eager, routes
from taskq.celery.options_in_force import TermsOf, settle
from taskq.celery.task import Task
from taskq.task import registry

#: The options that a setting gives to all tasks which do not say otherwise.
_DEFAULTS = {
    "task_default_queue": "queue",
    "task_default_priority": "priority",
    "task_ignore_result": "ignore_result",
    "task_time_limit": "time_limit",
    "task_soft_time_limit": "soft_time_limit",
}


class Configured(NamedTuple):
    """Options for a task. Its own win over the defaults, and the annotations over its own."""

    defaults: Mapping[str, Any]
    annotations: Mapping[str, Any]


class Preparation:
    """Read when the settings change, so that a call asks nothing."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._defaults: dict[str, Any] = {}
        self._annotations: list[Any] = []
        self._routes: list[routes.Route] = []
        self._problems: list[str] = []
        self._plain = True

    def changed(self) -> None:
        """The settings have changed. They are read once all tasks are known: before that, Django's
        settings may not be there."""
        if not self._app.finalized:
            return
        conf = self._app.conf
        given = conf.given()
        if self._app is apps.if_any():
            eager.decide(*map(conf.elsewhere, ("task_always_eager", "task_eager_propagates")))
        was_plain = self._plain
        self._problems = []
        self._defaults = {
            option: given[name] for name, option in _DEFAULTS.items() if given.get(name) is not None
        }
        self._routes = self._try(routes.prepared, given.get("task_routes")) or []
        self._annotations = self._try(annotating.prepared, given.get("task_annotations")) or []
        self._plain = not (self._defaults or self._routes or self._annotations)
        if not (was_plain and self._plain):
            self._settle_all()

    def of(self, task: Any) -> Configured | None:
        if self._plain:
            return None
        found = annotating.find(self._annotations, task.name, task)
        return Configured(self._defaults, found)

    def router(self, task: Any, explicit: frozenset[str]) -> TermsOf | None:
        if not self._routes:
            return None
        explicit -= self._defaults.keys() - task._given.keys() - task._declared.keys()

        def terms(
            args: Sequence[Any], kwargs: Mapping[str, Any], given: Mapping[str, Any]
        ) -> dict[str, Any]:
            found = routes.find(self._routes, task.name, args, kwargs, given, task)
            terms: dict[str, Any] = routes.added(found, given, explicit)
            return terms

        return terms

    def problems(self) -> list[str]:
        return self._problems

    def _settle_all(self) -> None:
        for definition in registry.definitions():
            task = definition.bound
            if isinstance(task, Task) and (task._app or apps.current()) is self._app:
                self._try(settle, task)

    def _try(self, call: Any, argument: Any) -> Any:
        try:
            return call(argument)
        except (ImproperlyConfigured, TypeError, ValueError) as error:
            self._problems.append(str(error))
            return None
