"""``manage.py taskq_pause``: pause queues, and list the paused ones."""

from __future__ import annotations

import getpass
import socket
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from taskq import pausing, printable
from taskq.management.arguments import add_database, database_alias
from taskq.management.queue_command import QueueCommand
from taskq.models import PausedQueue
from taskq.values import check_queue

_TIME = "%Y-%m-%d %H:%M:%S %Z"


class Command(QueueCommand):
    help = (
        "Pause queues: within a second all pools stop claiming their tasks, until taskq_resume. "
        "Running tasks go on, and tasks can still be sent to the queues. Without a queue, list "
        "the paused ones. The exit code is 0, also when a queue was paused already, and 1 when "
        "an argument was wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("queues", metavar="QUEUE", nargs="*", help="a queue, by its whole name")
        add_database(parser)

    def handle(self, **options: Any) -> None:
        alias = database_alias(options["database"])
        queues = checked(options["queues"])
        for queue in queues:
            if pausing.pause(queue, by=_whoami(), using=alias):
                self.stdout.write(f"{queue} paused")
            else:
                self.stdout.write(f"{queue} was paused already")
        if not queues:
            for each in pausing.paused(using=alias):
                self.stdout.write(paused(each))


def paused(queue: PausedQueue) -> str:
    """A sentence that says since when the queue is paused, and who paused it."""
    text = f"{queue.queue} paused"
    if queue.paused_at is not None:
        text += f" since {timezone.localtime(queue.paused_at):{_TIME}}"
    if queue.paused_by:
        text += f" by {queue.paused_by}"
    return printable.in_a_line(text)


def checked(queues: list[str]) -> list[str]:
    """The same queues. Raises CommandError when one is not a valid name, before any is changed."""
    for queue in queues:
        try:
            check_queue(queue)
        except ValueError as error:
            raise CommandError(str(error)) from error
    return queues


def _whoami() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "somebody"
    return f"{user} on {socket.gethostname()}"
