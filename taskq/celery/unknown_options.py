"""Options that nobody knows.

As in Celery, a task keeps them as attributes. One may be a typing error, so a system check names
them.
"""

from __future__ import annotations

import difflib
from typing import Any

from taskq.celery import apps, task_hooks
from taskq.celery import options as celery_options
from taskq.celery.task import Task
from taskq.task import registry

#: How alike a name must be to be meant: "max_retry" is, for "max_retries".
_ALIKE = 0.75
_NAMES = sorted(
    {"name", "base", *celery_options.TAKEN_BY_DECORATOR, *celery_options.IGNORED_BY_DECORATOR}
    | {*task_hooks.ALL}
)


def found() -> dict[str, list[str]]:
    """The unknown options that decorators and ``task_annotations`` give, in order, with the names
    of their tasks."""
    tasks: dict[str, list[str]] = {}
    for definition in registry.definitions():
        if isinstance(definition.bound, Task):
            for option in _of(definition.bound):
                tasks.setdefault(option, []).append(definition.name)
    return {option: sorted(tasks[option]) for option in sorted(tasks)}


def meant(option: str) -> str | None:
    """The known option that is most like this one; None where none is."""
    near = difflib.get_close_matches(option, _NAMES, n=1, cutoff=_ALIKE)
    return near[0] if near else None


def _of(task: Any) -> set[str]:
    """The unknown options of a task. What its class has too is its own business."""
    app = task._app or apps.if_any()
    configured = app.settings_of(task) if app is not None else None
    given = {*task._own_attributes, *(configured.annotations if configured is not None else ())}
    return {
        name
        for name in given
        if not celery_options.is_known(name) and not hasattr(type(task), name)
    }
