"""``manage.py taskq_resume``: resume paused queues."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from taskq import pausing
from taskq.management.arguments import add_database, database_alias
from taskq.management.commands.taskq_pause import checked
from taskq.management.queue_command import QueueCommand


class Command(QueueCommand):
    help = (
        "Resume queues that taskq_pause has paused: pools claim their tasks again at once. The "
        "exit code is 0, also when a queue was not paused, and 1 when an argument was wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("queues", metavar="QUEUE", nargs="*", help="a queue, by its whole name")
        parser.add_argument("--all", action="store_true", help="all queues that are paused")
        add_database(parser)

    def handle(self, **options: Any) -> None:
        alias = database_alias(options["database"])
        queues = checked(options["queues"])
        if bool(queues) == options["all"]:
            raise CommandError("name the queues to resume, or give --all")
        if not queues and not (queues := [each.queue for each in pausing.paused(using=alias)]):
            self.stdout.write("no queue is paused")
        for queue in queues:
            resumed = pausing.resume(queue, using=alias)
            self.stdout.write(f"{queue} resumed" if resumed else f"{queue} was not paused")
