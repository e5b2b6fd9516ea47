"""The schedules of this deployment: ``schedule=`` on tasks, the setting ``TASKQ["SCHEDULE"]``, and
those in Celery's form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.utils import timezone

from taskq import conf
from taskq.schedules import celery_form
from taskq.schedules.entry import Entry, check_call, entry_of
from taskq.task import registry
from taskq.task.registry import Definition
from taskq.task.timing import parse


@dataclass(frozen=True)
class Problem:
    """A wrong schedule: where it is given, what is wrong, and what to do.

    serious: no pool starts. Else the schedule may be another queue's.
    """

    where: str
    text: str
    serious: bool = True

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
    removed = {name for name, entry in given.items() if entry is None}
    return (own | celery_form.given().keys() | given.keys()) - removed


def problems() -> list[Problem]:
    """What is wrong with the schedules; empty when nothing is."""
    return _read()[1]


def _read() -> tuple[list[Entry], list[Problem]]:
    given, celery = conf.settings().schedule, celery_form.given()
    found: list[Entry] = []
    wrong: list[Problem] = []
    for definition in registry.definitions():
        if definition.options.schedule is not None and definition.name not in {*given, *celery}:
            _try(f"@{definition.name}", partial(_of_task, definition), found, wrong)
    for name, (where, entry, zone) in celery.items():
        if name in given:
            continue
        task = entry.get("task") if isinstance(entry, dict) else None
        workflow = task in celery_form.WORKFLOWS
        if isinstance(task, str) and registry.find(task) is None and not workflow:
            # While a project moves, its other tasks are still Celery's.
            text = f"task is {task!r}, which is no task of taskq: Celery's beat sends it"
            wrong.append(Problem(where, text, serious=False))
            continue
        _try(where, partial(_of_celery, name, entry, zone), found, wrong)
    for name, entry in given.items():
        if entry is not None:
            where = f"TASKQ['SCHEDULE'][{name!r}]"
            _try(where, partial(entry_of, name, entry), found, wrong)
    return found, wrong


def _try(where: str, make: Callable[[], Entry], found: list[Entry], wrong: list[Problem]) -> None:
    try:
        found.append(make())
    except (TypeError, ValueError) as error:
        wrong.append(Problem(where, str(error)))


def _of_task(definition: Definition) -> Entry:
    options = definition.options
    try:
        check_call(definition, (), {})
    except TypeError as error:
        raise TypeError(
            f"schedule is {options.schedule!r}, but {error}: give the arguments by an entry of "
            "TASKQ['SCHEDULE']"
        ) from error
    zone = timezone.get_default_timezone_name()
    timing = parse(options.schedule, zone)
    zone = getattr(timing, "zone", zone)
    return Entry(definition.name, definition.name, definition, timing, options.catch_up, zone)


def _of_celery(name: str, entry: object, zone: str) -> Entry:
    return entry_of(name, celery_form.in_our_form(entry, zone))
