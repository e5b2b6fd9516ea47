"""``manage.py taskq_pause``: pause queues, and list those that are paused."""

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
        "Pause queues: no pool claims their tasks any more, within a second, until taskq_resume. "
        "What runs goes on, and tasks can be sent to them as ever. Without a queue, list what is "
        "paused. The exit code is 0, also where a queue was paused already, and 1 when an "
        "argument was wrong."
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
    """That it is paused, since when and by whom, in words."""
    text = f"{queue.queue} paused"
    if queue.paused_at is not None:
        text += f" since {timezone.localtime(queue.paused_at):{_TIME}}"
    if queue.paused_by:
        text += f" by {queue.paused_by}"
    return printable.in_a_line(text)


def checked(queues: list[str]) -> list[str]:
    """The queues; raises CommandError, before anything is done, when one cannot be one."""
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
