"""``manage.py taskq_stack``: show where a running task is."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from taskq import printable, stacks
from taskq.exceptions import NoStack
from taskq.management.arguments import ID_HELP, add_database, database_alias, number
from taskq.management.queue_command import QueueCommand


class Command(QueueCommand):
    help = (
        "Show the stack of a running task, or of a process of a pool, on whatever host it is. The "
        "run goes on. The exit code is 0, or 1 when there is no stack to show, or an option was "
        "wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "id",
            nargs="?",
            metavar="ID",
            help=ID_HELP,
        )
        parser.add_argument(
            "--worker", metavar="NAME", help='a process in place of a task, such as "worker 3"'
        )
        parser.add_argument(
            "--pool", metavar="POOL", help="its pool, if several have a process of that name"
        )
        parser.add_argument(
            "--timeout",
            type=number,
            metavar="SECONDS",
            help="wait so long for the answer (default: the heartbeat and 3 s)",
        )
        add_database(parser)

    def handle(self, **options: Any) -> None:
        task, worker = options["id"], options["worker"]
        if (task is None) == (worker is None):
            raise CommandError("give either the id of a task, or --worker")
        if options["pool"] and worker is None:
            raise CommandError("--pool is for --worker: a task is found without it")
        how = {"timeout": options["timeout"], "using": database_alias(options["database"])}
        try:
            if worker is None:
                stack = stacks.ask(task, **how)
            else:
                stack = stacks.ask_worker(worker, options["pool"], **how)
        except (NoStack, ValueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(printable.in_lines(stack))
