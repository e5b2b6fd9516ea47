"""``manage.py taskq_retry``: run failed tasks again, by hand."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError, CommandParser

from taskq.management.arguments import add_database, database_alias
from taskq.management.queue_command import QueueCommand
from taskq.models import Task
from taskq.task import ids

#: The exit code when no task was retried.
NOTHING = 3


class Command(QueueCommand):
    help = (
        "Run tasks again, now. Give the ids of tasks that failed, wait for a retry or are lost "
        "(see taskq_status), or choose all failed tasks. Their retries and losses are counted "
        "from 0 again. Running tasks are left alone. The exit code is 0, or "
        f"{NOTHING} when there was nothing to retry, or 1 when an option was wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add(
            "ids",
            nargs="*",
            metavar="ID",
            type=task_id,
            help="number of a task, as the admin and the log show it, or UUID of its AsyncResult "
            "(default: none)",
        )
        add("--failed", action="store_true", help="all failed tasks (default: only the given ids)")
        add("--name", help="only tasks of this name, as in the admin (default: any)")
        add("--queue", help="only tasks on this queue (default: any)")
        add_database(parser)

    def handle(self, **options: Any) -> None:
        if bool(options["ids"]) == options["failed"]:
            raise CommandError("say which tasks: give their ids, or else --failed for all")
        tasks = Task.objects.using(database_alias(options["database"]))
        tasks = tasks.failed() if options["failed"] else tasks.filter(pk__in=options["ids"])
        for key in ("name", "queue"):
            if options[key] is not None:
                tasks = tasks.filter(**{key: options[key]})
        retried = tasks.retry()
        if rivalled := tasks.rivalled().count():
            self.stderr.write(f"{_tasks(rivalled)} left alone: another has the same unique key")
        if retried:
            self.stdout.write(f"{_tasks(retried)} will run again")
            return
        if not rivalled:
            self.stderr.write("nothing to retry: no such task failed, is lost or waits for a retry")
        sys.exit(NOTHING)


def _tasks(count: int) -> str:
    return f"{count} task{'s' * (count != 1)}"


def task_id(text: str) -> int:
    """The primary key that the text gives, for argparse."""
    try:
        key = ids.parse(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is neither an id, such as 42, nor a UUID") from error
    return min(key, ids.TOO_LARGE - 1)
