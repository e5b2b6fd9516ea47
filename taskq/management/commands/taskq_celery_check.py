"""``manage.py taskq_celery_check``: what a project with Celery has to change to move."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from taskq.celery_check import command


class Command(BaseCommand):
    help = command.HELP
    # The project may not run yet: that is why it is read.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        command.add_arguments(parser)

    def handle(self, **options: Any) -> None:
        try:
            code = command.run(
                options["path"],
                fix=options["fix"],
                diff=options["diff"],
                say=self.stdout.write,
                in_force=dir(settings),
            )
        except FileNotFoundError as error:
            raise CommandError(str(error)) from error
        if code:
            sys.exit(code)
