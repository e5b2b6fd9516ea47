"""The schedules of this deployment: from ``schedule=`` on tasks, and from the setting
``TASKQ["SCHEDULE"]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

from django.db import router
from django.utils import timezone

from taskq import conf, limits
from taskq.models import Task
from taskq.outbox.calls import are_keywords
from taskq.outbox.terms import columns
from taskq.task import payload, registry
from taskq.task.registry import Definition
from taskq.task.timing import CATCH_UP, Timing, parse
from taskq.values import check_priority, check_queue

KEYS = ("task", "schedule", "args", "kwargs", "queue", "priority", "catch_up")


@dataclass(frozen=True)
class Entry:
    """One schedule, checked.

    database: the alias of the database of its tasks.
    """

    name: str
    definition: Definition
    timing: Timing
    catch_up: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] | None = None
    queue: str | None = None
    priority: int | None = None

    @property
    def database(self) -> str:
        return self.definition.database or router.db_for_write(Task)

    def columns(self) -> dict[str, Any]:
        """The columns of this schedule's row that the code and the settings decide."""
        options = self.definition.options
        call = columns(options, queue=self.queue, priority=self.priority)
        return {
            "name": self.name,
            "task": self.definition.name,
            "schedule": self.timing.text,
            "time_zone": timezone.get_default_timezone_name(),
            "catch_up": self.catch_up,
            "payload": payload.encode(self.args, self.kwargs or {}, task=self.definition.name),
            "queue": call["queue"],
            "priority": call["priority"],
            "max_losses": call["max_losses"],
        }


@dataclass(frozen=True)
class Problem:
    """A wrong schedule: where it is given, what is wrong, and what to do."""

    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


def entries(database: str) -> list[Entry]:
    """The schedules whose tasks are in this database, sorted by name. Wrong ones are left out:
    the system checks report them."""
    found, _ = _read()
    return sorted(
        (entry for entry in found if entry.database == database), key=lambda entry: entry.name
    )


def names() -> set[str]:
    """The names of all schedules in the code and the settings, whatever their database."""
    own = {each.name for each in registry.definitions() if each.options.schedule is not None}
    given = conf.settings().schedule
    return (own | given.keys()) - {name for name, entry in given.items() if entry is None}


def problems() -> list[Problem]:
    """What is wrong with the schedules; empty when nothing is."""
    return _read()[1]


def _read() -> tuple[list[Entry], list[Problem]]:
    given = conf.settings().schedule
    found: list[Entry] = []
    wrong: list[Problem] = []
    for definition in registry.definitions():
        if definition.options.schedule is not None and definition.name not in given:
            _try(f"@{definition.name}", partial(_of_task, definition), found, wrong)
    for name, entry in given.items():
        if entry is not None:
            where = f"TASKQ['SCHEDULE'][{name!r}]"
            _try(where, partial(_of_setting, name, entry), found, wrong)
    return found, wrong


def _try(where: str, make: Callable[[], Entry], found: list[Entry], wrong: list[Problem]) -> None:
    try:
        entry = make()
        entry.columns()  # raises if the arguments cannot be stored
        found.append(entry)
    except (TypeError, ValueError, ZoneInfoNotFoundError) as error:
        wrong.append(Problem(where, str(error)))


def _of_task(definition: Definition) -> Entry:
    options = definition.options
    try:
        _check_call(definition, (), {})
    except TypeError as error:
        raise TypeError(
            f"schedule is {options.schedule!r}, but {error}: give the arguments by an entry of "
            "TASKQ['SCHEDULE']"
        ) from error
    timing = parse(options.schedule, timezone.get_default_timezone_name())
    return Entry(definition.name, definition, timing, options.catch_up)


def _of_setting(name: object, given: object) -> Entry:
    if not isinstance(name, str) or not 1 <= len(name) <= limits.NAME_LENGTH or "\0" in name:
        raise ValueError(f"the name must be a str of 1 to {limits.NAME_LENGTH} characters")
    if not isinstance(given, Mapping):
        raise TypeError(f"it is {given!r}: give a dict with 'task' and 'schedule', or None")
    for key in given:
        if key not in KEYS:
            raise ValueError(f"{key!r} is no such key; known are {', '.join(KEYS)}")
    given = {key: value for key, value in given.items() if value is not None}
    for key in ("task", "schedule"):
        if key not in given:
            raise ValueError(f"{key!r} is missing")
    definition = registry.find(given["task"]) if isinstance(given["task"], str) else None
    if definition is None:
        known = (
            ", ".join(registry.names())
            or "none: they are looked for in each app's tasks.py and TASKQ['IMPORTS']"
        )
        raise ValueError(f"task is {given['task']!r}: no such task; known are {known}")
    args, kwargs = given.get("args", ()), given.get("kwargs", {})
    if isinstance(args, (str, bytes)) or not isinstance(args, Sequence):
        raise TypeError(f"args is {args!r}: give a list of the positional arguments")
    if not are_keywords(kwargs):
        raise TypeError(f"kwargs is {kwargs!r}: give a dict of the keyword arguments")
    try:
        _check_call(definition, args, kwargs)
    except TypeError as error:
        raise TypeError(f"args and kwargs do not fit the task: {error}") from error
    if "queue" in given:
        check_queue(given["queue"])
    if "priority" in given:
        check_priority(given["priority"])
    catch_up = given.get("catch_up", definition.options.catch_up)
    if catch_up not in CATCH_UP:
        raise ValueError(f"catch_up is {catch_up!r}: use one of {', '.join(CATCH_UP)}")
    return Entry(
        name,
        definition,
        parse(given["schedule"], timezone.get_default_timezone_name()),
        catch_up,
        args,
        kwargs,
        given.get("queue"),
        given.get("priority"),
    )


def _check_call(definition: Definition, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raise TypeError, as a call would, unless the function takes these arguments."""
    try:
        signature = definition.taken
    except ValueError:  # Python knows no signature of the function
        return
    signature.bind(*args, **kwargs)
