"""Periodic tasks in Celery's form: the setting ``CELERY_BEAT_SCHEDULE``, and what a Celery app has
in ``conf.beat_schedule``."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings

from taskq.task import call_notes, registry
from taskq.task.call_notes import Notes

_KEYS = ("task", "schedule", "args", "kwargs", "options", "relative")
#: Options of a send that a schedule has too.
_TAKEN = ("queue", "priority", "expires", "headers", "time_limit", "soft_time_limit")
#: They change nothing: there is no broker, and a result is kept if the task says so.
_IGNORED = frozenset(
    "exchange routing_key serializer compression delivery_mode mandatory immediate retry "
    "retry_policy connection producer publisher ignore_result add_to_parent shadow".split()
)

#: What has no task of its own. The task ``taskq.send`` sends it.
WORKFLOWS = ("celery.chain", "celery.group", "celery.chord")

_sources: list[tuple[Callable[[], Mapping[str, Any]], Callable[[], str | None]]] = []


def add_source(
    entries: Callable[[], Mapping[str, Any]], time_zone: Callable[[], str | None]
) -> None:
    """Take the entries of a Celery app too. It is asked each time, so it may change.

    entries: returns the app's ``conf.beat_schedule``. An entry wins over one of the same name in
        the setting.
    time_zone: returns the app's ``conf.timezone``; None is UTC, as in Celery.
    """
    _sources.append((entries, time_zone))


def given() -> dict[str, tuple[str, Any, str]]:
    """The entries by name: where each is given, the entry, and the time zone of its crontab."""
    found = {}
    for where, entries, zone in _all():
        for name, entry in entries.items():
            found[name] = (f"{where}[{name!r}]", entry, zone)
    return found


def _all() -> list[tuple[str, Mapping[str, Any], str]]:
    named = "CELERY_BEAT_SCHEDULE"
    found = [(named, getattr(settings, named, None), getattr(settings, "CELERY_TIMEZONE", None))]
    found += [("beat_schedule", entries(), zone()) for entries, zone in _sources]
    return [
        (where, entries if isinstance(entries, Mapping) else {"": entries}, str(zone or "UTC"))
        for where, entries, zone in found
        if entries
    ]


def in_our_form(entry: object, zone: str) -> dict[str, Any]:
    """An entry with the keys of ``TASKQ["SCHEDULE"]``.

    Raises TypeError or ValueError for what has no such form.
    """
    if not isinstance(entry, Mapping):
        raise TypeError(f"it is {entry!r}: give a dict with 'task' and 'schedule'")
    for key in entry:
        if key not in _KEYS:
            raise ValueError(f"{key!r} is no such key; known are {', '.join(_KEYS)}")
    options = entry.get("options") or {}
    if not isinstance(options, Mapping):
        raise TypeError(f"options is {options!r}: give a dict of options of apply_async()")
    if is_sent_by_a_task(entry):
        return _of_workflow(entry, {k: v for k, v in options.items() if v is not None}, zone)
    for name, value in options.items():
        if value is not None and name not in _TAKEN and name not in _IGNORED:
            raise ValueError(
                f"options has {name!r}, which no schedule has; known are {', '.join(_TAKEN)}"
            )
    return {
        **{key: entry.get(key) for key in ("task", "args", "kwargs")},
        "schedule": _schedule(entry.get("schedule")),
        "time_zone": zone,
        **{name: options.get(name) for name in ("queue", "priority", "expires")},
        "headers": _headers(options),
    }


def is_sent_by_a_task(entry: Mapping[str, Any]) -> bool:
    """Whether an entry is a chain, a group or a chord, or has tasks that follow it, or a task whose
    class has an ``apply_async()`` of its own, which a tick does not call."""
    task, options = entry.get("task"), entry.get("options")
    follows = isinstance(options, Mapping) and (options.get("link") or options.get("link_error"))
    found = registry.find(task) if isinstance(task, str) else None
    sends_itself = found is not None and getattr(found.bound, "sends_itself", False)
    return task in WORKFLOWS or bool(follows) or sends_itself


def _of_workflow(entry: Mapping[str, Any], options: dict[str, Any], zone: str) -> dict[str, Any]:
    task = str(entry["task"])
    signature = {
        "task": task,
        "args": list(entry.get("args") or ()),
        "kwargs": dict(entry.get("kwargs") or {}),
        "options": options,
        "subtask_type": task.removeprefix("celery.") if task in WORKFLOWS else None,
        "immutable": False,
    }
    return {
        "task": "taskq.send",
        "args": [signature],
        "schedule": _schedule(entry.get("schedule")),
        "time_zone": zone,
        **{name: options.get(name) for name in ("queue", "priority", "expires")},
    }


def _headers(options: Mapping[str, Any]) -> Any:
    limits = options.get("time_limit"), options.get("soft_time_limit")
    if limits == (None, None):
        return options.get("headers")
    call_notes.check_limits(*limits)
    return call_notes.added(options.get("headers"), Notes(limits=limits))


def _schedule(given: object) -> object:
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return datetime.timedelta(seconds=given)
    if type(given).__module__.partition(".")[0] in ("celery", "django_celery_beat"):
        raise TypeError(f"schedule is {given!r} of Celery: import it from taskq.celery.schedules")
    return given
