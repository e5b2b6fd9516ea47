"""Arguments that several management commands have in common."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser
from django.db import connections, router

from taskq import conf, sql
from taskq.models import Task

#: What an argument says that takes the id of a task.
ID_HELP = "number of a task, as the admin and the log show it, or UUID of its AsyncResult"


def add_database(parser: CommandParser) -> None:
    """Add ``--database``, for :func:`database_alias`."""
    parser.add_argument(
        "--database",
        metavar="ALIAS",
        help="alias in DATABASES of the database with the tasks (default: the router's)",
    )


def database_alias(given: str | None) -> str:
    """The given alias, or the router's.

    Raises CommandError when DATABASES lacks the alias, or when no pool could work on that database.
    """
    alias = given or router.db_for_write(Task)
    if alias not in connections:
        known = ", ".join(connections)
        raise CommandError(f"--database is {alias!r}: no such alias; DATABASES has {known}")
    connection = connections[alias]
    if connection.vendor not in sql.VENDORS:
        raise CommandError(
            f"database {alias!r} is {connection.vendor}; taskq needs PostgreSQL or SQLite"
        )
    if connection.vendor == "sqlite" and connection.is_in_memory_db():  # type: ignore[attr-defined]
        raise CommandError(
            f"database {alias!r} is in memory, which no other process can see; "
            "give it a file name in DATABASES"
        )
    return alias


def number(text: str) -> float:
    """A number, for the ``type`` of an option."""
    try:
        return float(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no number") from error


def whole_number(text: str) -> int:
    """A whole number, for the ``type`` of an option."""
    try:
        return int(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no whole number") from error


def defaults() -> conf.Settings:
    """The settings that the help of a command names.

    With a wrong value in ``TASKQ`` these are taskq's own. The system checks report that value once
    Django has read the options, and an error here would be a traceback.
    """
    try:
        return conf.settings()
    except ImproperlyConfigured:
        return conf.Settings()


def settings(
    options: Mapping[str, Any],
    kinds: Mapping[str, Callable[[Any], Any]],
    *,
    wanted: str = "a number",
    others: Mapping[str, Any] | None = None,
) -> conf.Settings:
    """The settings, replaced by the options that the command line gives.

    kinds: for each option that replaces a setting, the function that makes its value.
    wanted: what such an option takes, for the text of the error.
    others: more settings to replace, by their names.

    Raises CommandError for a wrong value.
    """
    values, named = dict(others or {}), {}
    for name, kind in kinds.items():
        given = options.get(name)
        if given is None:
            continue
        option = named[name.upper()] = "--" + name.replace("_", "-")
        try:
            values[name.upper()] = kind(given)
        except ValueError as error:
            raise CommandError(f"{option} is {given!r}: give {wanted}") from error
    try:
        return conf.overridden(values, named)
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error
