"""What the management commands' arguments have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser
from django.db import connections, router

from taskq import conf, sql
from taskq.models import Task


def add_database(parser: CommandParser) -> None:
    """``--database``, for :func:`database_alias`."""
    parser.add_argument(
        "--database",
        metavar="ALIAS",
        help="alias in DATABASES of the database with the tasks (default: the router's)",
    )


def database_alias(given: str | None) -> str:
    """The alias that was given, or the router's.

    Raises CommandError for one that is not there, or where no pool could find the tasks.
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


def settings(
    options: Mapping[str, Any],
    kinds: Mapping[str, Callable[[Any], Any]],
    *,
    wanted: str = "a number",
    others: Mapping[str, Any] | None = None,
) -> conf.Settings:
    """The settings, with what was given on the command line in their place.

    kinds: the options that are settings, and what makes a value of each. wanted: what they
    take, for the error. others: more settings, by their names.

    Raises CommandError for a wrong value.
    """
    values = dict(others or {})
    for name, kind in kinds.items():
        given = options.get(name)
        if given is None:
            continue
        try:
            values[name.upper()] = kind(given)
        except ValueError as error:
            option = "--" + name.replace("_", "-")
            raise CommandError(f"{option} is {given!r}: give {wanted}") from error
    try:
        return conf.overridden(values)
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error
