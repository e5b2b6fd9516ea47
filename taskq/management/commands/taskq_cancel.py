"""``manage.py taskq_cancel``: cancel tasks by hand."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from taskq.management.arguments import add_database, database_alias
from taskq.management.queue_command import QueueCommand
from taskq.models import Task, TaskQuerySet
from taskq.task import ids


class Command(QueueCommand):
    help = (
        "Cancel tasks: remove those that wait, and end those that run. In a running one "
        "TaskCancelled is raised, and TASKQ['CANCEL_GRACE'] seconds later its worker is killed; "
        "it is kept as cancelled, and not run again. The exit code is 0 when each of the tasks "
        "was removed or asked to end, and 1 when it was too late for one, or an id is wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "ids",
            nargs="+",
            metavar="ID",
            help="number of a task, as the admin and the log have it, or UUID of its AsyncResult",
        )
        add_database(parser)

    def handle(self, **options: Any) -> None:
        keys = [(given, _key(given)) for given in options["ids"]]
        tasks = TaskQuerySet(Task, using=database_alias(options["database"]))
        late = 0
        for given, key in keys:
            # One at a time: none waits for another that somebody has locked.
            removed, asked = tasks.filter(pk=key).cancel() if key < ids.TOO_LARGE else (0, 0)
            said = "removed" if removed else "asked to end"
            if not removed and not asked:
                late += 1
                said = "too late, or no such task"
            self.stdout.write(f"{given}: {said}")
        if late:
            sys.exit(1)


def _key(given: str) -> int:
    try:
        return ids.parse(given)
    except ValueError as error:
        raise CommandError(
            f"{given!r} is no task id: give its number, or the UUID that delay() returned"
        ) from error
