"""A management command that reads or writes the tables of the queue."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import router

from taskq.database_errors import DATABASE_ERRORS, Meaning, meaning, rejection
from taskq.events import first_line
from taskq.models import Task

_SAID = {
    Meaning.UNMIGRATED: "database {alias!r} lacks tables or columns of taskq: run manage.py migrate"
    " ({error})",
    Meaning.REJECTED: "cannot connect to database {alias!r}: {error}: check DATABASES",
    Meaning.AWAY: "database {alias!r} does not answer: {error}",
    Meaning.LOCKED: "database {alias!r} is locked by another process; try again ({error})",
    Meaning.BUSY: "database {alias!r} was busy; try again ({error})",
    Meaning.ANSWER: "database {alias!r} refuses: {error}",
}


class QueueCommand(BaseCommand):
    """Reports an error of the database in one sentence, with exit code 1.

    ``--traceback`` shows the whole error, as with any Django command.
    """

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except DATABASE_ERRORS as error:
            alias = options.get("database") or router.db_for_write(Task)
            text = _SAID[meaning(error)].format(
                alias=alias, error=rejection(error) or first_line(error)
            )
            raise CommandError(text) from error
