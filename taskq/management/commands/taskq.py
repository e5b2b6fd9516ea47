"""``manage.py taskq``: a pool with one worker."""

from __future__ import annotations

from django.core.management.base import CommandParser

from taskq.management.commands.taskq_pool import Command as PoolCommand


class Command(PoolCommand):
    help = (
        "Run tasks one at a time: taskq_pool with one worker, for development and small sites. "
        "It has the same signals, exit codes and guarantees, and the same options except -c."
    )
    default_concurrency = 1

    def add_concurrency(self, parser: CommandParser) -> None:
        """Add no ``-c``: there is always one worker."""
