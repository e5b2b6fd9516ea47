"""``task_annotations``: options that the settings give to tasks, by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from taskq.celery.listed import listed
from taskq.celery.setting_paths import imported


def prepared(annotations: Any) -> list[Any]:
    """The annotations of a value of ``task_annotations``: a dict by name, where ``"*"`` means all
    tasks; an object with ``annotate(task)``, its class or the path of it; or a list of these.

    Raises ImproperlyConfigured for anything else.
    """
    return [_prepared(each) for each in listed(annotations)]


def find(annotations: Sequence[Any], name: str, task: Any) -> dict[str, Any]:
    """The options for a task. Those of its own name win over those of all tasks."""
    own: dict[str, Any] = {}
    every: dict[str, Any] = {}
    for each in reversed(annotations):
        if isinstance(each, Mapping):
            own |= each.get(name, {})
            every |= each.get("*", {})
        else:
            own |= each.annotate(task) or {}
            if hasattr(each, "annotate_any"):
                every |= each.annotate_any() or {}
    return {**every, **own}


def _prepared(given: Any) -> Any:
    if isinstance(given, str):
        given = imported("task_annotations", given)
    if isinstance(given, type):
        given = given()
    if not isinstance(given, Mapping) and not hasattr(given, "annotate"):
        raise ImproperlyConfigured(
            f"task_annotations has {given!r}: give a dict of options by the names of tasks"
        )
    return given
