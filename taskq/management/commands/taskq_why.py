"""``manage.py taskq_why``: why a task is not running."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from taskq.management.arguments import ID_HELP, add_database, database_alias
from taskq.management.queue_command import QueueCommand
from taskq.why import Code, why

#: The exit code when nothing is known of the task.
NOTHING = 3


class Command(QueueCommand):
    help = (
        "Say why a task is not running, or what has become of it, and what to do. The exit code "
        f"is 0, or {NOTHING} when nothing is known of the task, or 1 when the id is wrong or the "
        "database gave no answer."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "id",
            metavar="ID",
            help=ID_HELP,
        )
        parser.add_argument("--json", action="store_true", help="print JSON")
        add_database(parser)

    def handle(self, **options: Any) -> None:
        try:
            reasons = why(options["id"], using=database_alias(options["database"]))
        except ValueError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            found = [asdict(reason) for reason in reasons]
            self.stdout.write(json.dumps(found, indent=2, cls=DjangoJSONEncoder))
        else:
            for reason in reasons:
                self.stdout.write(reason.text)
                if reason.advice:
                    self.stdout.write(f"    {reason.advice}")
        if reasons[0].code is Code.GONE:
            sys.exit(NOTHING)
