"""``manage.py taskq_cancel``: cancel tasks by hand."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from taskq.management.arguments import ID_HELP, add_database, database_alias
from taskq.management.queue_command import QueueCommand
from taskq.models import Task, TaskQuerySet
from taskq.task import ids


class Command(QueueCommand):
    help = (
        "Cancel tasks: remove waiting tasks and end running ones. A running task gets "
        "TaskCancelled raised in it. If it still runs TASKQ['CANCEL_GRACE'] seconds later, its "
        "worker is killed. The task is kept as cancelled and does not run again. The exit code is "
        "0 when each task was removed or asked to end, and 1 when it was too late for one, or an "
        "id is wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "ids",
            nargs="+",
            metavar="ID",
            help=ID_HELP,
        )
        add_database(parser)

    def handle(self, **options: Any) -> None:
        keys = [(given, _key(given)) for given in options["ids"]]
        tasks = TaskQuerySet(Task, using=database_alias(options["database"]))
        late = 0
        for given, key in keys:
            # One at a time: a task that is locked must not hold up the others.
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
        raise CommandError(str(error)) from error
