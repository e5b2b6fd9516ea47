"""``manage.py taskq_prune``: remove what is over, by hand."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from taskq import conf, leases
from taskq.management.commands.taskq_pool import database_alias

#: Rows that one statement removes.
BATCH = 1000


class Command(BaseCommand):
    help = (
        "Remove results, failed tasks and idempotency keys that were kept for long enough. Pools "
        "do so by themselves, by the TASKQ settings RESULT_TTL, FAILED_TTL and IDEMPOTENCY_TTL. "
        "The exit code is 0; 1 when an option was wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        settings = conf.settings()
        for name, what, default in [
            ("--result-ttl", "results", settings.result_ttl),
            ("--failed-ttl", "failed and cancelled tasks", settings.failed_ttl),
            ("--idempotency-ttl", "idempotency keys", settings.idempotency_ttl),
        ]:
            kept = "kept for ever" if default is None else f"{default:g}"
            parser.add_argument(
                name,
                metavar="SECONDS",
                help=f"remove {what} that are older (default: {kept})",
            )
        parser.add_argument(
            "--database",
            metavar="ALIAS",
            help="alias in DATABASES of the database with the tasks (default: the router's)",
        )

    def handle(self, **options: Any) -> None:
        settings = _settings(options)
        db = leases.connect(database_alias(options["database"]), lease=settings.lease)
        removed = [0, 0, 0]
        try:
            while True:
                some = db.prune(
                    result_ttl=settings.result_ttl,
                    failed_ttl=settings.failed_ttl,
                    idempotency_ttl=settings.idempotency_ttl,
                    limit=BATCH,
                )
                removed = [before + more for before, more in zip(removed, some, strict=True)]
                if max(some) < BATCH:
                    break
        finally:
            db.close()
        results, failed, keys = removed
        self.stdout.write(
            f"{results} results, {failed} failed tasks and {keys} idempotency keys removed"
        )


def _settings(options: dict[str, Any]) -> conf.Settings:
    values = {}
    for name in ("result_ttl", "failed_ttl", "idempotency_ttl"):
        if (given := options[name]) is not None:
            try:
                values[name.upper()] = float(given)
            except ValueError as error:
                option = "--" + name.replace("_", "-")
                raise CommandError(f"{option} is {given!r}: give a number of seconds") from error
    try:
        return conf.overridden(values)
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error
