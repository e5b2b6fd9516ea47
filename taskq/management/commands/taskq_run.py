"""``manage.py taskq_run``: send a task by hand."""

from __future__ import annotations

import datetime
import difflib
import json
import re
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import router
from django.utils import timezone

from taskq import printable
from taskq.celery import Task as CeleryTask
from taskq.celery.async_result import AsyncResult
from taskq.celery.eager import EagerResult
from taskq.exceptions import NoResult
from taskq.management.arguments import add_database, database_alias, number, whole_number
from taskq.management.queue_command import QueueCommand
from taskq.models import Task
from taskq.task import registry
from taskq.task.registry import Definition

#: A keyword argument.
_NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


class Command(QueueCommand):
    help = (
        "Send a task to the workers and print its id. Arguments are JSON, or else text: "
        "taskq_run shop.tasks.resize 42 width=640 title=Sunset code='\"007\"'. The exit code is 0 "
        "when the task was sent, or, with --wait, when it succeeded. It is 1 when the task failed, "
        "did not finish in time, or an argument was wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("name", nargs="?", metavar="NAME", help="name of the task, as --list shows it")
        add(
            "arguments",
            nargs="*",
            metavar="ARG",
            help="JSON, or else text; key=ARG for a keyword (default: none)",
        )
        add("--list", action="store_true", help="only print the names of all tasks")
        add("--queue", help="queue that it waits in (default: the task's own)")
        add(
            "--priority",
            type=whole_number,
            metavar="N",
            help="-100 to 100, higher is sooner (default: the task's own)",
        )
        add(
            "--countdown",
            type=number,
            metavar="SECONDS",
            help="do not start it before that much time has passed (default: 0)",
        )
        add(
            "--eta",
            type=_time,
            metavar="TIME",
            help="earliest start, such as 2026-05-01T12:00, in Django's time zone (default: now)",
        )
        add(
            "--expires",
            type=number,
            metavar="SECONDS",
            help="drop it if it has not started after that time (default: never)",
        )
        add(
            "--wait",
            type=number,
            metavar="SECONDS",
            help="wait that long for its result and print it as JSON, if the task keeps it "
            "(default: do not wait)",
        )
        add_database(parser)

    def handle(self, **options: Any) -> None:
        if options["list"]:
            if not registry.names():
                self.stderr.write("no task is known: is the app of a tasks.py in INSTALLED_APPS?")
            self.stdout.write("\n".join(registry.names()))
            return
        definition = _find(options["name"])
        args, kwargs = _arguments(options["arguments"])
        _check_call(definition, args, kwargs)
        if options["wait"] is not None and definition.options.ignore_result:
            raise CommandError(f"--wait: {definition.name} keeps no result (ignore_result=True)")
        alias = database_alias(options["database"])
        send = _send if isinstance(definition.bound, CeleryTask) else _send_by_django
        try:
            result = send(definition.bound, args, kwargs, options, alias)
        except (TypeError, ValueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(str(result.id))
        if options["wait"] is not None:
            self._wait(result, options["wait"])

    def _wait(self, result: AsyncResult | EagerResult, seconds: float) -> None:
        try:
            value = result.get(timeout=seconds, propagate=False)
        except (TimeoutError, NoResult) as error:
            raise CommandError(str(error)) from error
        if result.failed():
            raise CommandError(printable.in_a_line(f"it failed: {value}"))
        self.stdout.write(json.dumps(value, default=str))


def _time(text: str) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no time, such as 2026-05-01T12:00") from error


def _find(name: str | None) -> Definition:
    if name is None:
        raise CommandError("name a task, or see which there are by --list")
    definition = registry.find(name)
    if definition is None:
        close = difflib.get_close_matches(name, registry.names(), n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(close)}?" if close else "--list shows which there are"
        raise CommandError(f"no task is called {name!r}; {hint}")
    return definition


def _send(
    task: Any, args: list[Any], kwargs: dict[str, Any], options: dict[str, Any], alias: str
) -> AsyncResult | EagerResult:
    names = ("queue", "priority", "countdown", "eta", "expires")
    terms = {name: options[name] for name in names if options[name] is not None}
    result: AsyncResult | EagerResult = task.apply_async(args, kwargs, using=alias, **terms)
    return result


def _send_by_django(
    task: Any, args: list[Any], kwargs: dict[str, Any], options: dict[str, Any], alias: str
) -> AsyncResult:
    from taskq.django.compat import InvalidTask  # such a task exists, so it imports

    if options["expires"] is not None:
        raise CommandError("--expires: Django's tasks do not know it")
    changes: dict[str, Any] = {"queue_name": options["queue"], "priority": options["priority"]}
    if options["countdown"] is not None:
        changes["run_after"] = timezone.now() + datetime.timedelta(seconds=options["countdown"])
    elif (eta := options["eta"]) is not None:
        changes["run_after"] = timezone.make_aware(eta) if timezone.is_naive(eta) else eta
    kept_in = task.get_backend().database or router.db_for_write(Task)
    if options["database"] not in (None, kept_in):
        raise CommandError(f"--database is {alias!r}: its backend keeps the task in {kept_in!r}")
    try:
        task = task.using(**{key: each for key, each in changes.items() if each is not None})
        result = task.enqueue(*args, **kwargs)
    except InvalidTask as error:
        raise CommandError(str(error)) from error
    return AsyncResult(result.id, using=kept_in)


def _arguments(words: list[str]) -> tuple[list[Any], dict[str, Any]]:
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for word in words:
        if named := _NAMED.fullmatch(word):
            kwargs[named[1]] = _value(named[2])
        elif kwargs:
            raise CommandError(f"{word!r} has no name and comes after some that have: put it first")
        else:
            args.append(_value(word))
    return args, kwargs


def _value(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError:
        return word


def _check_call(definition: Definition, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Check the arguments here: an error in a worker would reach no person in time."""
    try:
        definition.taken.bind(*args, **kwargs)
    except TypeError as error:
        raise CommandError(f"{definition.name}: {error}") from error
