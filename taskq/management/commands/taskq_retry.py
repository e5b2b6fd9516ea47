"""``manage.py taskq_retry``: run failed tasks again, by hand."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError, CommandParser

from taskq.management.arguments import ID_HELP, add_database, database_alias, whole_number
from taskq.management.queue_command import QueueCommand
from taskq.models import Task, TaskQuerySet
from taskq.task import ids

#: The exit code when no task was retried.
NOTHING = 3
#: The most tasks of one transaction.
STEP = 1000


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
            help=f"{ID_HELP} (default: none)",
        )
        add("--failed", action="store_true", help="all failed tasks (default: only the given ids)")
        add(
            "--per-second",
            metavar="N",
            type=whole_number,
            help="with --failed: retry at most so many a second (default: no limit)",
        )
        add("--name", help="only tasks of this name, as in the admin (default: any)")
        add("--queue", help="only tasks on this queue (default: any)")
        add_database(parser)

    def handle(self, **options: Any) -> None:
        if bool(options["ids"]) == options["failed"]:
            raise CommandError("say which tasks: give their ids, or else --failed for all")
        pace = options["per_second"]
        if pace is not None and (pace < 1 or not options["failed"]):
            raise CommandError(f"--per-second is {pace}: give a number from 1, and --failed")
        tasks = Task.objects.using(database_alias(options["database"]))
        tasks = tasks.failed() if options["failed"] else tasks.filter(pk__in=options["ids"])
        for key in ("name", "queue"):
            if options[key] is not None:
                tasks = tasks.filter(**{key: options[key]})
        retried = _in_steps(tasks, pace) if options["failed"] else tasks.retry()
        if rivalled := tasks.rivalled().count():
            self.stderr.write(f"{_tasks(rivalled)} left alone: another has the same unique key")
        if retried:
            self.stdout.write(f"{_tasks(retried)} will run again")
            return
        if not rivalled:
            self.stderr.write("nothing to retry: no such task failed, is lost or waits for a retry")
        sys.exit(NOTHING)


def _in_steps(tasks: TaskQuerySet, pace: int | None) -> int:
    """Retry tasks some at a time, each time in a transaction of its own. So no lock is held for
    long, and what ends is not in vain if a person stops this.

    Those with the highest ids come first: of several with one unique key, the last is retried.

    pace: the most that are retried in a second. None: there is no limit.
    """
    ids = list(tasks.order_by("-pk").values_list("pk", flat=True))
    step, count = min(STEP, pace or STEP), 0
    for first in range(0, len(ids), step):
        if first and pace is not None:
            time.sleep(step / pace)
        count += tasks.filter(pk__in=ids[first : first + step]).retry()
    return count


def _tasks(count: int) -> str:
    return f"{count} task{'s' * (count != 1)}"


def task_id(text: str) -> int:
    """The primary key that the text gives, for argparse."""
    try:
        key = ids.parse(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
    return min(key, ids.TOO_LARGE - 1)
