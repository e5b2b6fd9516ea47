"""One schedule as somebody gives it: each value checked, and what to write to its row."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import router
from django.utils import timezone

from taskq import limits
from taskq.models import Task
from taskq.outbox.calls import are_keywords
from taskq.outbox.terms import columns
from taskq.task import call_notes, payload, registry
from taskq.task.call_notes import Notes
from taskq.task.options import TaskOptions
from taskq.task.registry import Definition
from taskq.task.timing import CATCH_UP, Timing, parse
from taskq.values import (
    STORABLE,
    check_priority,
    check_queue,
    is_storable,
    require,
    seconds,
)

KEYS = (
    *("task", "schedule", "args", "kwargs", "queue", "priority", "catch_up"),
    *("time_zone", "expires", "headers"),
)


class ScheduleError(ValueError):
    """Values that no schedule can have.

    Attributes:
        problems: What is wrong, by the name of the value.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(problems.values()))
        self.problems = dict(problems)


@dataclass(frozen=True)
class Entry:
    """One schedule, checked.

    task: the name of its task. definition: None for a task that this process does not know.
    expires: seconds after which a task that was sent and has not started is dropped.
    """

    name: str
    task: str
    definition: Definition | None
    timing: Timing
    catch_up: str
    time_zone: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    queue: str | None = None
    priority: int | None = None
    expires: float | None = None
    headers: Mapping[str, Any] | None = None

    @property
    def database(self) -> str:
        """The alias of the database of its tasks."""
        own = self.definition.database if self.definition is not None else None
        return own or router.db_for_write(Task)

    def columns(self) -> dict[str, Any]:
        """The columns of its row that these values decide. Raises PayloadError for arguments that
        cannot be stored."""
        options = self.definition.options if self.definition is not None else TaskOptions()
        terms, headers = self._terms(), self.headers
        call = columns(options, queue=terms["queue"], priority=terms["priority"])
        limits = terms.get("time_limit"), terms.get("soft_time_limit")
        if limits != (None, None):
            headers = call_notes.added(headers, Notes(limits=limits))
        expires = terms["expires"]
        return {
            "name": self.name,
            "task": self.task,
            "schedule": self.timing.text,
            "time_zone": self.time_zone,
            "catch_up": self.catch_up,
            "payload": payload.encode(self.args, self.kwargs, headers, self.task),
            "queue": call["queue"],
            "priority": call["priority"],
            "max_losses": call["max_losses"],
            # A route may give a moment, which is not for each tick.
            "expire_seconds": None if isinstance(expires, datetime.datetime) else expires,
        }

    def _terms(self) -> dict[str, Any]:
        """The terms of a send: what the schedule says, and for the rest what the task or a route
        of Celery's says."""
        given = {"queue": self.queue, "priority": self.priority, "expires": self.expires}
        bound = self.definition.bound if self.definition is not None else None
        add = getattr(bound, "terms_of", None)
        found = given if add is None else {**given, **add(self.args, self.kwargs, given)}
        if isinstance(found["expires"], datetime.timedelta):
            found["expires"] = found["expires"].total_seconds()
        return found


def entry_of(name: object, given: object, *, known: bool = True) -> Entry:
    """Check the values of a schedule. A value that is None counts as not given.

    given: a dict with some of ``KEYS``. known: refuse a task that this process does not know.

    Raises ScheduleError, with all that is wrong.
    """
    reading = _Reading(name, given, known)
    entry = reading.entry()
    if entry is None:
        raise ScheduleError(reading.problems)
    return entry


class _Reading:
    """Reads the values one by one, and notes what is wrong."""

    def __init__(self, name: object, given: object, known: bool) -> None:
        self.problems: dict[str, str] = {}
        self.known = known
        self.name = name if isinstance(name, str) else ""
        if not is_storable(self.name, limits.NAME_LENGTH):
            text = f"the name must be a str of 1 to {limits.NAME_LENGTH} characters, {STORABLE}"
            self.problems["name"] = text
        if not isinstance(given, Mapping):
            text = f"it is {given!r}: give a dict with 'task' and 'schedule', or None"
            raise ScheduleError({"schedule": text})
        for key in given:
            if key not in KEYS:
                text = f"{key!r} is no such key; known are {', '.join(KEYS)}"
                self.problems[str(key)] = text
        self.given = {key: value for key, value in given.items() if value is not None}
        for key in ("task", "schedule"):
            if key not in self.given:
                self.problems[key] = f"{key!r} is missing"

    def entry(self) -> Entry | None:
        """The schedule; None if something is wrong."""
        given = self.given
        definition = self._try("task", self._definition)
        zone = self._try("time_zone", self._zone)
        timing = None
        if zone is not None and "schedule" in given:
            timing = self._try("schedule", lambda: parse(given["schedule"], zone))
        for key, check in (("args", self._args), ("kwargs", self._kwargs), ("queue", self._queue)):
            self._try(key, check)
        for key, check in (("priority", self._priority), ("headers", self._headers)):
            self._try(key, check)
        expires = self._try("expires", self._expires)
        own = definition.options.catch_up if definition is not None else "once"
        catch_up = given.get("catch_up", own)
        if catch_up not in CATCH_UP:
            text = f"catch_up is {catch_up!r}: use one of {', '.join(CATCH_UP)}"
            self.problems["catch_up"] = text
        if definition is not None and not {"args", "kwargs"} & self.problems.keys():
            self._try("args", lambda: self._check_call(definition))
        if self.problems or timing is None:
            return None
        entry = Entry(
            name=self.name,
            task=given["task"],
            definition=definition,
            timing=timing,
            catch_up=catch_up,
            # An object such as crontab() may have a zone of its own.
            time_zone=getattr(timing, "zone", zone) or "UTC",
            args=given.get("args", ()),
            kwargs=given.get("kwargs", {}),
            queue=given.get("queue"),
            priority=given.get("priority"),
            expires=expires,
            headers=given.get("headers"),
        )
        self._try("args", entry.columns)  # raises if the arguments cannot be stored
        return None if self.problems else entry

    def _try(self, key: str, read: Callable[[], Any]) -> Any:
        if key in self.problems:
            return None
        try:
            return read()
        except (TypeError, ValueError, ZoneInfoNotFoundError) as error:
            # The text of a KeyError is in quotes.
            self.problems[key] = str(error.args[0] if isinstance(error, KeyError) else error)
            return None

    def _definition(self) -> Definition | None:
        name = self.given["task"]
        found = registry.find(name) if isinstance(name, str) else None
        if found is None and (self.known or not isinstance(name, str) or not name):
            known = (
                ", ".join(registry.names())
                or "none: they are looked for in each app's tasks.py and TASKQ['IMPORTS']"
            )
            raise ValueError(f"task is {name!r}: no such task; known are {known}")
        require(len(name) <= limits.NAME_LENGTH and "\0" not in name, "task", name, "no such name")
        return found

    def _zone(self) -> str:
        zone = self.given.get("time_zone", timezone.get_default_timezone_name())
        mend = "give a zone's name, such as 'America/New_York'"
        require(isinstance(zone, str), "time_zone", zone, mend)
        try:
            ZoneInfo(zone)
        except (OSError, ValueError, ZoneInfoNotFoundError) as error:
            raise ValueError(f"time_zone is {zone!r}: {mend}") from error
        return str(zone)

    def _args(self) -> None:
        args = self.given.get("args", ())
        if isinstance(args, (str, bytes)) or not isinstance(args, Sequence):
            raise TypeError(f"args is {args!r}: give a list of the positional arguments")

    def _kwargs(self) -> None:
        kwargs = self.given.get("kwargs", {})
        if not are_keywords(kwargs):
            raise TypeError(f"kwargs is {kwargs!r}: give a dict of the keyword arguments")

    def _headers(self) -> None:
        headers = self.given.get("headers", {})
        if not are_keywords(headers):
            raise TypeError(f"headers is {headers!r}: give a dict with keys of str")

    def _queue(self) -> None:
        if "queue" in self.given:
            check_queue(self.given["queue"])

    def _priority(self) -> None:
        if "priority" in self.given:
            check_priority(self.given["priority"])

    def _expires(self) -> float | None:
        if "expires" not in self.given:
            return None
        expires = self.given["expires"]
        lifetime = seconds("expires", expires)
        require(lifetime > 0, "expires", expires, "give a number of seconds above 0")
        return float(lifetime)

    def _check_call(self, definition: Definition) -> None:
        try:
            check_call(definition, self.given.get("args", ()), self.given.get("kwargs", {}))
        except TypeError as error:
            raise TypeError(f"args and kwargs do not fit the task: {error}") from error


def check_call(definition: Definition, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raise TypeError, as a call would, unless the function takes these arguments."""
    try:
        signature = definition.taken
    except ValueError:  # Python knows no signature of the function
        return
    signature.bind(*args, **kwargs)
